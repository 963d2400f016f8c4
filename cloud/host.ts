/** The host: what machines need of it, and how it was before, so that the last cloud can put it back. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { bootId } from "../lib/boot-id";
import { replaceFile } from "../lib/durable-file";
import { UserError } from "../lib/errors";
import { aptInstall, run, tryRun } from "../lib/run";
import { brand } from "./names";

/** Commands that the hypervisor runs on the host, with the Debian packages that provide them. */
const COMMANDS = { ip: "iproute2", nft: "nftables", nsenter: "util-linux" } as const;

/** Kernel limits for a dozen init systems on one kernel. They are raised if necessary, never lowered. */
const LIMITS = { "fs/inotify/max_user_instances": 8192, "fs/inotify/max_user_watches": 524_288 } as const;

const FORWARDING = "net/ipv4/ip_forward";
/** Whether packets between two ports of a bridge pass the host's firewall: for IPv4, IPv6 and ARP. */
const BRIDGED = ["iptables", "ip6tables", "arptables"].map((kind) => `net/bridge/bridge-nf-call-${kind}`);

/** Kernel settings that clouds have changed since the host was booted. */
interface Changes {
  readonly bootId: string;
  readonly settings: Readonly<Record<string, { readonly before: string; readonly now: string }>>;
}
const RECORD = `/var/lib/${brand.name}/host-before.json`;

/** Where earlier versions recorded the value of FORWARDING. */
const EARLIER_RECORD = `/var/lib/${brand.name}/engine/ip-forward.before`;

/**
 * Installs missing commands, raises kernel limits and loads kernel modules.
 * @throws UserError if a package cannot be installed.
 */
export async function prepareHost(): Promise<void> {
  const missing: string[] = [];
  for (const [command, debian] of Object.entries(COMMANDS)) {
    if ((await tryRun(command, ["--version"])).exitCode === 127) missing.push(debian);
  }
  if (missing.length > 0) {
    const failure = await aptInstall(missing);
    if (failure !== undefined) {
      throw new UserError(
        `The local cloud needs these packages, which could not be installed: ${missing.join(", ")}.\n${failure}\n`,
        "Install them yourself.",
      );
    }
  }
  for (const [key, least] of Object.entries(LIMITS)) if (Number(read(key) ?? least) < least) set(key, String(least));
  const bridged = read(BRIDGED[0]!) !== undefined;
  // Machines cannot load modules themselves. Failure is ignored, as the kernel may have them built in.
  await tryRun("modprobe", ["-a", "overlay", "br_netfilter", "nf_conntrack", "nf_tables"]);
  // The module would make the firewall see what passes other bridges of the host. Machines turn that on for their own.
  if (!bridged) for (const key of BRIDGED) set(key, "0");
}

/**
 * Makes the host a router for machines, and only for them: if it was none before, it still forwards nothing between its own
 * networks. Traffic of other bridges (of another container engine, of virtual machines) is their owner's concern.
 */
export async function routeForMachines(): Promise<void> {
  if (read(FORWARDING) !== "0") return;
  const rules = `table inet ${brand.identifier} {
  chain forward {
    type filter hook forward priority -10; policy accept;
    meta iifkind "bridge" accept
    meta oifkind "bridge" accept
    drop
  }
}
`;
  await run("nft", ["-f", "-"], { input: rules });
  set(FORWARDING, "1");
}

/**
 * Puts back what the clouds have changed, to be called when the last of them is down. What somebody else has changed since
 * stays as it is.
 * @param forwards whether another container engine has started, which needs the host as its router.
 */
export async function restoreHost({ forwards }: { readonly forwards: boolean }): Promise<void> {
  await tryRun("nft", ["delete", "table", "inet", brand.identifier]);
  for (const [key, { before, now }] of Object.entries(recorded().settings)) {
    if (key === FORWARDING && forwards) continue;
    if (read(key) === now) writeFileSync(path(key), before);
  }
  if (existsSync(EARLIER_RECORD) && !forwards) writeFileSync(path(FORWARDING), readFileSync(EARLIER_RECORD, "utf8"));
  for (const file of [RECORD, EARLIER_RECORD]) rmSync(file, { force: true });
}

const path = (key: string): string => `/proc/sys/${key}`;

/** The value of a kernel setting, or undefined if the kernel does not have it. */
function read(key: string): string | undefined {
  return existsSync(path(key)) ? readFileSync(path(key), "utf8").trim() : undefined;
}

/** Changes a kernel setting, after its value was recorded. */
function set(key: string, value: string): void {
  const present = read(key);
  if (present === undefined || present === value) return;
  const { settings } = recorded();
  const before = settings[key]?.before ?? present;
  const changes: Changes = { bootId: bootId(), settings: { ...settings, [key]: { before, now: value } } };
  replaceFile(RECORD, JSON.stringify(changes), { mode: 0o600 });
  writeFileSync(path(key), value);
}

/** What was changed since the host was booted; before that does not count, as the kernel has forgotten it. */
function recorded(): Changes {
  const none = { bootId: bootId(), settings: {} };
  try {
    const changes = JSON.parse(readFileSync(RECORD, "utf8")) as Changes;
    return changes.bootId === bootId() ? changes : none;
  } catch {
    return none;
  }
}

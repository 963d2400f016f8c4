import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { UserError } from "../lib/errors";
import { aptInstall, tryRun } from "../lib/run";

/** Commands of the host that the hypervisor uses, and Debian's packages that have them. */
const COMMANDS = { ip: "iproute2", nft: "nftables", nsenter: "util-linux" } as const;

/** Kernel limits that a dozen of init systems on one kernel need; raised, never lowered. */
const LIMITS = { "fs/inotify/max_user_instances": 8192, "fs/inotify/max_user_watches": 524_288 } as const;

/** Makes the host ready for machines: commands, kernel limits, and modules where the kernel has modules. */
export async function prepareHost(): Promise<void> {
  const missing: string[] = [];
  for (const [command, debian] of Object.entries(COMMANDS)) {
    if ((await tryRun(command, ["--version"])).exitCode === 127) missing.push(debian);
  }
  if (missing.length > 0) {
    const failure = await aptInstall(missing);
    if (failure !== undefined) {
      throw new UserError(
        `The local cloud needs ${missing.join(", ")}, and installing failed:\n${failure}\n`,
        "Install them.",
      );
    }
  }
  for (const [key, least] of Object.entries(LIMITS)) {
    const file = `/proc/sys/${key}`;
    if (existsSync(file) && Number(readFileSync(file, "utf8")) < least) writeFileSync(file, String(least));
  }
  // Machines cannot load modules. A kernel that has them built in has nothing to load, hence no check.
  await tryRun("modprobe", ["-a", "overlay", "br_netfilter", "nf_conntrack", "nf_tables"]);
}

/** Prepares the host: commands, kernel limits and kernel modules that machines need. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { UserError } from "../lib/errors";
import { aptInstall, tryRun } from "../lib/run";

/** Commands that the hypervisor runs on the host, with the Debian packages that provide them. */
const COMMANDS = { ip: "iproute2", nft: "nftables", nsenter: "util-linux" } as const;

/** Kernel limits for a dozen init systems on one kernel. They are raised if necessary, never lowered. */
const LIMITS = { "fs/inotify/max_user_instances": 8192, "fs/inotify/max_user_watches": 524_288 } as const;

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
  for (const [key, least] of Object.entries(LIMITS)) {
    const file = `/proc/sys/${key}`;
    if (existsSync(file) && Number(readFileSync(file, "utf8")) < least) writeFileSync(file, String(least));
  }
  // Machines cannot load modules themselves. Failure is ignored, as the kernel may have them built in.
  await tryRun("modprobe", ["-a", "overlay", "br_netfilter", "nf_conntrack", "nf_tables"]);
}

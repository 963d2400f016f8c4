/**
 * Exceptions in the host's own firewall. A verdict of another table cannot override it: if it drops what it does not know,
 * as ufw's does, packets from and to machines would not pass. What must not pass is in the cloud's own table, see vpc.ts.
 */
import { readFileSync } from "node:fs";
import { tryRun } from "../../lib/run";
import { Cloud, brand, bridgePrefix } from "../names";

/** The exceptions, as arguments of iptables. */
const rules = (cloud: Cloud): string[][] =>
  ["-i", "-o"].map((direction) => [
    ...["FORWARD", direction, `${bridgePrefix(cloud)}+`],
    ...["-m", "comment", "--comment", brand.name, "-j", "ACCEPT"],
  ]);

/** Adds the exceptions where the host has rules of iptables. Where it has none, iptables is not used at all. */
export async function acceptForwarding(cloud: Cloud): Promise<void> {
  for (const iptables of await inUse())
    for (const rule of rules(cloud)) {
      const [chain, ...rest] = rule;
      if ((await tryRun(iptables, ["-w", "-C", ...rule])).exitCode !== 0)
        await tryRun(iptables, ["-w", "-I", chain!, "1", ...rest]);
    }
}

/** Removes them. */
export async function removeForwarding(cloud: Cloud): Promise<void> {
  for (const iptables of await inUse()) for (const rule of rules(cloud)) await tryRun(iptables, ["-w", "-D", ...rule]);
}

/** The variants of iptables that have a FORWARD chain in the kernel. Asking iptables itself could create one. */
async function inUse(): Promise<string[]> {
  const nft = (await tryRun("nft", ["list", "chain", "ip", "filter", "FORWARD"])).exitCode === 0;
  return [...(nft ? ["iptables-nft"] : []), ...(legacyTables().includes("filter") ? ["iptables-legacy"] : [])];
}

function legacyTables(): string[] {
  try {
    return readFileSync("/proc/net/ip_tables_names", "utf8").split("\n");
  } catch {
    return []; // the module is not loaded
  }
}

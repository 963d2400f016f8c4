/** The host before, during and after a cloud, with a private container engine, on a host that has nothing else on it. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

type Snapshot = Record<string, string>;
interface Probed {
  readonly before: Snapshot;
  readonly during: Snapshot & { readonly between: boolean; readonly seen?: string; readonly reached: boolean };
  readonly after: Snapshot;
}

const support = resolve(__dirname, "../support");
let directory = "";
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "private-host-"))));
afterEach(() => rmSync(directory, { recursive: true }));

/** What the probe saw on a private host that was set up with this shell code. */
function probe(setup: string): Probed {
  const command = `${setup}\nexec "$@"`;
  const args = ["--import", "tsx", join(support, "host-probe.ts")];
  const output = execFileSync(
    "bash",
    [join(support, "scripts/private-host.sh"), directory, "bash", "-ec", command, "bash", process.execPath, ...args],
    { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
  );
  return JSON.parse(output.trim().split("\n").at(-1)!) as Probed;
}

/** The rules and settings of a host whose owner has a firewall. */
const firewall = `
iptables -P FORWARD DROP
iptables -A INPUT -p tcp --dport 2222 -j ACCEPT
iptables -A FORWARD -s 192.0.2.0/24 -j ACCEPT
iptables -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE
nft 'add table ip6 nat; add chain ip6 nat mine { type nat hook postrouting priority 100; }; add table inet mine'
ip rule add from 192.0.2.7 lookup 77 priority 15000
printf '10.9.9.9 printer\\n\\n' >>/etc/hosts
`;

describe("a host", () => {
  it.each([
    ["without any rules", ""],
    ["with a firewall that forwards nothing by default", firewall],
    ["whose owner has removed the machines and networks by hand", "export REMOVED_BY_HAND=yes"],
  ])("%s is as before when the cloud is down, and the cloud works", (_, setup) => {
    const { before, during, after } = probe(setup);
    expect(during.between).toBe(true);
    expect(during.seen).toBe("198.51.100.2");
    expect(during.reached).toBe(false);
    expect(during.iptables!.replace(/^.*--comment kubernetes-from-scratch.*\n/gm, "")).toBe(before.iptables);
    expect(after).toEqual(before);
  });
});

/** What a cloud changes on its host: addresses, routes, firewall rules, /etc/hosts, and the names that it uses. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressIn, gatewayOf, privateDomain, resolverOf } from "../../../cloud/hypervisor/addresses";
import { parseResolvers } from "../../../cloud/hypervisor/dns";
import { renderHostsFile } from "../../../cloud/hypervisor/hosts-file";
import { renderRoutes, tableOf } from "../../../cloud/hypervisor/routes";
import type { Service } from "../../../cloud/hypervisor/settings";
import { hostTable, renderHostRuleset } from "../../../cloud/hypervisor/vpc";
import { UserError } from "../../../lib/errors";
import { LABEL, bridgeOf, cloudOf, nameOf } from "../../../cloud/names";
import { Machine, findMachine } from "../../../cloud/machines";

const cloud = cloudOf({ name: "lab", port: 5001, stateRoot: "/state" });

describe("a VPC's addresses", () => {
  it("are offsets from its base", () => {
    expect([gatewayOf("10.1.0.0/16"), resolverOf("10.1.0.0/16")]).toEqual(["10.1.0.1", "10.1.0.2"]);
    expect(addressIn("10.1.0.0/16", 256 + 11)).toBe("10.1.1.11");
    expect([privateDomain("us-east-1"), privateDomain("eu-west-1")]).toEqual([
      "ec2.internal",
      "eu-west-1.compute.internal",
    ]);
  });
});

describe("a VPC's routes", () => {
  const wanted = [
    { destination: "10.200.0.0/24", via: "10.1.1.21" },
    { destination: "10.200.1.0/24", via: "10.1.1.22" },
  ];

  it("are changed only if they differ", () => {
    const present = [
      wanted[0]!,
      { destination: "10.200.1.0/24", via: "10.1.1.99" },
      { destination: "10.9.0.0/24", via: "10.1.1.9" },
    ];
    expect(renderRoutes(7, "br", present, wanted)).toBe(
      "route del 10.9.0.0/24 table 7\nroute replace 10.200.1.0/24 via 10.1.1.22 dev br table 7\n",
    );
    expect(renderRoutes(7, "br", wanted, wanted)).toBe("");
  });

  it("are in a table per VPC, apart from the kernel's tables", () => {
    expect(tableOf("vpc-1")).not.toBe(tableOf("vpc-2"));
    fc.assert(fc.property(fc.string(), (id) => tableOf(id) > 255 && tableOf(id) < 2 ** 32));
  });

  it("use a bridge whose name the kernel accepts", () => {
    expect(bridgeOf(cloud, "vpc-0123456789abcdef0").length).toBeLessThanOrEqual(15);
  });
});

describe("the host's firewall rules", () => {
  it("let a VPC reach only public addresses, and its resolver the host's resolvers", () => {
    const text = renderHostRuleset(cloud, [{ id: "vpc-0123456789abcdef0", cidr: "10.1.0.0/16" }]);
    const bridge = bridgeOf(cloud, "vpc-0123456789abcdef0");
    expect(text).toContain(`iifname "${bridge}" oifname != "${bridge}" ip saddr 10.1.0.2 th dport 53 accept`);
    expect(text).toMatch(/ip daddr \{ 10\.0\.0\.0\/8, .* \} ct direction original drop/);
    expect(text).toContain(`iifname != "${bridge}" oifname "${bridge}" ct direction original drop`);
    expect(text).toContain(`ip saddr 10.1.0.0/16 oifname != "${bridge}" masquerade`);
  });

  it("let a VPC reach nothing of the host but the gateway's web server", () => {
    const text = renderHostRuleset(cloud, [{ id: "vpc-0123456789abcdef0", cidr: "10.1.0.0/16" }]);
    const input = /chain input \{\n.*\n([^}]*)\}/.exec(text)?.[1]?.trim().split(/\n\s*/) ?? [];
    const from = `iifname "${bridgeOf(cloud, "vpc-0123456789abcdef0")}"`;
    expect(input).toEqual([
      `${from} ip daddr 10.1.0.1 tcp dport 8080 accept`,
      `${from} ip daddr 10.1.0.1 icmp type echo-request accept`,
      `${from} ct direction original ct state != related drop`,
    ]);
  });
});

describe("what machines may reach beside the public internet", () => {
  const rules = (alsoReachable: Service[]): string =>
    renderHostRuleset(cloud, [{ id: "vpc-0123456789abcdef0", cidr: "10.1.0.0/16" }], alsoReachable);
  const chain = (name: string, text: string): string => new RegExp(`chain ${name} \\{([^}]*)\\}`).exec(text)?.[1] ?? "";

  it("is a mirror on the host or in a private network, by address and port, before everything else is dropped", () => {
    const text = rules([
      { address: "10.1.0.1", port: 5000 },
      { address: "192.168.7.7", port: 443 },
      { address: "192.168.7.7", port: 443 },
    ]);
    for (const [name, last] of [
      ["forward", "daddr { 10.0.0.0/8"],
      ["input", "state != related drop"],
    ] as const)
      for (const exception of [
        "ip daddr 10.1.0.1 tcp dport 5000 accept",
        "ip daddr 192.168.7.7 tcp dport 443 accept",
      ]) {
        const [before = "", after = ""] = chain(name, text.replace(/\{ 10[^}]*\}/g, "{ 10.0.0.0/8")).split(last);
        expect(before.split(exception), `${exception} in ${name}`).toHaveLength(2);
        expect(after).not.toContain(exception);
      }
  });
});

describe("the host's /etc/hosts", () => {
  const hosts = "127.0.0.1 localhost\n# mine\n10.9.9.9 printer\n";
  const name = "api-1.elb.us-east-1.amazonaws.com";
  const names = [{ name, addresses: ["10.1.1.10", "10.1.2.10"] }];

  it("contains a marked block as long as the cloud has names", () => {
    const with_ = renderHostsFile(hosts, "lab", names);
    expect(with_).toBe(
      `${hosts}# BEGIN kubernetes-from-scratch lab\n10.1.1.10 ${name}\n10.1.2.10 ${name}\n# END kubernetes-from-scratch lab\n`,
    );
    expect(renderHostsFile(with_, "lab", names)).toBe(with_);
    expect(renderHostsFile(with_, "lab", [])).toBe(hosts);
  });

  it("keeps the blocks of other clouds", () => {
    const both = renderHostsFile(renderHostsFile(hosts, "lab", names), "other", names);
    expect(renderHostsFile(both, "lab", [])).toBe(renderHostsFile(hosts, "other", names));
  });

  it("is left with every line that is not a cloud's, whichever marks and names somebody has removed", () => {
    const blocks = ["lab", "other"].map((cloud) => renderHostsFile("", cloud, names).trimEnd().split("\n"));
    const own = fc.constantFrom(...["127.0.0.1 localhost", "# mine", "10.9.9.9 printer", "", "# END of my lines"]);
    const parts = fc.oneof(
      own.map((line) => [line]),
      ...blocks.map((lines) => fc.subarray(lines)),
    );
    fc.assert(
      fc.property(fc.array(parts), fc.constantFrom([], names), (written, wanted) => {
        const text = written.flat().join("\n");
        const result = renderHostsFile(text, "lab", wanted);
        const foreign = (lines: string): string[] =>
          lines.split("\n").filter((line) => !line.endsWith(" lab") && !line.endsWith(name));
        expect(foreign(result).join("\n").trimEnd()).toBe(foreign(text).join("\n").trimEnd());
        expect(result.split("# BEGIN kubernetes-from-scratch lab").length - 1).toBe(wanted.length);
        expect(renderHostsFile(result, "lab", wanted)).toBe(result);
      }),
    );
  });
});

describe("the host's resolvers", () => {
  it("are used if a container can reach them", () => {
    expect(parseResolvers("# x\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver fe80::1\nsearch a\n")).toEqual(
      ["192.0.2.53"],
    );
  });
});

describe("a machine on the command line", () => {
  const machine = (name: string, id: string, privateIp: string, stack: string): Machine =>
    ({ name, id, privateIp, stack }) as Machine;
  const machines = [
    machine("controller-0", "i-1", "10.0.1.11", "a"),
    machine("controller-0", "i-2", "10.1.1.11", "b"),
    machine("b-worker-0", "i-3", "10.1.1.21", "b"),
  ];

  it("is found by name, end of name, id or address, and by stack", () => {
    expect(findMachine(machines, "worker-0", undefined).id).toBe("i-3");
    expect(findMachine(machines, "i-2", undefined).id).toBe("i-2");
    expect(findMachine(machines, "10.0.1.11", undefined).id).toBe("i-1");
    expect(findMachine(machines, "controller-0", "b").id).toBe("i-2");
  });

  it("must exist and be unambiguous", () => {
    expect(() => findMachine(machines, "controller-0", undefined)).toThrow(
      /several machines: .*i-1, stack a.*i-2, stack b.*--stack/,
    );
    expect(() => findMachine(machines, "worker-9", undefined)).toThrow(/no machine "worker-9".*controller-0/);
  });
});

describe("a cloud's state directory", () => {
  it("is given, or is named after the cloud below a given root", () => {
    expect(cloud.stateDir).toBe("/state/lab");
    expect(cloudOf({ name: "lab", stateDir: "/elsewhere" }).stateDir).toBe("/elsewhere");
    expect(cloudOf({ ...cloud, name: "other" }).stateDir).toBe(cloud.stateDir);
  });

  it("is absolute", () => {
    expect(cloudOf({ name: "lab", stateRoot: "clouds" }).stateDir).toBe(`${process.cwd()}/clouds/lab`);
  });
});

describe("the marks on what a cloud creates", () => {
  it("never change, so that running clouds are recognised", () => {
    expect(Object.values(LABEL)).toEqual(
      ["cloud", "state-dir", "kind", "id", "vpc", "region", "hash", "owner"].map(
        (key) => `kubernetes-from-scratch.${key}`,
      ),
    );
    expect(nameOf(cloud, "machine", "i-1")).toBe("kfs-lab-machine-i-1");
    expect(bridgeOf(cloud, "vpc-0123456789abcdef0")).toBe("k6f49-89abcdef0");
    expect(hostTable(cloudOf({ name: "a-b", stateRoot: "/state" }))).toBe("kubernetes_from_scratch_a_b");
  });
});

describe("a cloud's name and port", () => {
  it.each([
    [{ name: "Lab" }, /"Lab" is not a valid name.*at most 31 lower-case/],
    [{ name: "" }, /at most 31 lower-case/],
    [{ name: "a".repeat(32) }, /at most 31 lower-case/],
    [{ port: 0 }, /"0" is not a valid port.*1 to 65535/],
    [{ port: 70000 }, /1 to 65535/],
    [{ port: Number.NaN }, /1 to 65535/],
  ])("are rejected with a remedy: %o", (options, message) => {
    expect(() => cloudOf({ name: "lab", port: 5001, stateRoot: "/state", ...options })).toThrow(UserError);
    expect(() => cloudOf({ name: "lab", port: 5001, stateRoot: "/state", ...options })).toThrow(message);
  });
});

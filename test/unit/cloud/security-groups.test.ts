/** The nftables ruleset generated from a machine's security groups. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Rule, SecurityGroup } from "../../../cloud/hypervisor/model";
import { allMembers, renderRuleset } from "../../../cloud/hypervisor/security-groups";

const rule = (part: Partial<Rule>): Rule => ({
  ...{ protocol: "-1", fromPort: undefined, toPort: undefined, cidrs: [], groups: [] },
  ...part,
});
const group = (ingress: Rule[], egress: Rule[] = []): SecurityGroup => ({ id: "sg-1", name: "nodes", ingress, egress });
const holder = { privateIp: "10.0.1.21", groups: ["sg-1"], sourceDestCheck: false };
const render = (groups: SecurityGroup[], members = new Map<string, string[]>()): string =>
  renderRuleset(holder, groups, members, "10.0.0.2");

describe("a machine's ruleset", () => {
  it("consists of the groups' rules, is stateful, and drops everything else", () => {
    const nodes = group(
      [
        rule({ protocol: "tcp", fromPort: 10250, toPort: 10250, groups: ["sg-2"] }),
        rule({ protocol: "tcp", fromPort: 30000, toPort: 32767, cidrs: ["203.0.113.0/24", "203.0.113.7/32"] }),
        rule({ protocol: "udp", fromPort: 53, toPort: 53, cidrs: ["0.0.0.0/0"] }),
        rule({ protocol: "icmp", fromPort: 3, toPort: 4, cidrs: ["10.0.0.0/16"] }),
        rule({ protocol: "icmp", fromPort: -1, toPort: -1, cidrs: ["10.0.1.0/24"] }),
      ],
      [rule({ cidrs: ["0.0.0.0/0"] })],
    );
    expect(render([nodes], new Map([["sg-2", ["10.0.1.12", "10.0.1.11"]]]))).toMatchInlineSnapshot(`
      "table inet security_groups
      delete table inet security_groups
      table inet security_groups {
        chain ingress {
          type filter hook prerouting priority -150; policy accept;
          iifname != "eth0" accept
          ct state established,related accept
          # sg-1 nodes
          ip saddr 10.0.0.0/16 icmp type 3 icmp code 4 accept
          ip saddr 10.0.1.0/24 meta l4proto icmp accept
          ip saddr 203.0.113.0/24 tcp dport 30000-32767 accept
          ip saddr { 10.0.1.11, 10.0.1.12 } tcp dport 10250 accept
          ip saddr { 203.0.113.7 } tcp dport 30000-32767 accept
          meta nfproto ipv4 udp dport 53 accept
          drop
        }
        chain egress {
          type filter hook postrouting priority 150; policy accept;
          oifname != "eth0" accept
          ct state established,related accept
          ip daddr 10.0.0.2 meta l4proto { tcp, udp } th dport 53 accept
          ip daddr 169.254.0.0/16 accept
          # sg-1 nodes
          meta nfproto ipv4 accept
          drop
        }
      }
      "
    `);
  });

  it("checks source and destination if the instance's check is on", () => {
    const text = renderRuleset({ ...holder, sourceDestCheck: true }, [], new Map(), "10.0.0.2");
    expect(text).toContain("ip daddr != 10.0.1.21 drop");
    expect(text).toContain("ip saddr != 10.0.1.21 drop");
    expect(render([])).not.toContain("10.0.1.21 drop");
  });

  it("opens nothing for a group without members", () => {
    expect(render([group([rule({ protocol: "tcp", fromPort: 22, toPort: 22, groups: ["sg-9"] })])])).not.toContain(
      "22 accept",
    );
  });

  it("admits everything to a load balancer without groups", () => {
    const text = renderRuleset({ ...holder, groups: "any" }, [], new Map(), "10.0.0.2");
    expect(text.match(/^ {4}drop$/gm)).toBeNull();
  });

  it("does not depend on the order of the rules", () => {
    const rules = [22, 80, 443, 6443].map((port) =>
      rule({ protocol: "tcp", fromPort: port, toPort: port, cidrs: ["10.0.0.0/16"] }),
    );
    fc.assert(
      fc.property(fc.shuffledSubarray(rules, { minLength: rules.length }), (shuffled) => {
        expect(render([group(shuffled)])).toBe(render([group(rules)]));
      }),
    );
  });
});

describe("the members of a group", () => {
  it("are its instances, except terminated ones, and the nodes of its load balancers", () => {
    const instance = (privateIp: string, state: string): never => ({ groups: ["sg-1"], privateIp, state }) as never;
    const members = allMembers({
      instances: [
        instance("10.0.1.11", "running"),
        instance("10.0.1.12", "stopped"),
        instance("10.0.1.13", "terminated"),
      ],
      balancers: [{ groups: ["sg-1", "sg-2"], nodes: [{ address: "10.0.1.10" }] } as never],
    });
    expect(members.get("sg-1")).toEqual(["10.0.1.11", "10.0.1.12", "10.0.1.10"]);
    expect(members.get("sg-2")).toEqual(["10.0.1.10"]);
  });
});

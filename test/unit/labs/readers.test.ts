/** What labs read back from text: kube-proxy's rules, the scheduler's log, etcd's values, quantities, nslookup, SSH. */
import { describe, expect, it } from "vitest";
import { etcdctl, printable, registryKey, storedType } from "../../../labs/framework/etcd";
import { addressesIn } from "../../../labs/framework/lookup";
import { hostsOf } from "../../../labs/framework/nodes";
import { kibibytes, millicores, requestedOn } from "../../../labs/framework/quantity";
import { endpointsOf } from "../../../labs/packet-path/rules";
import { scoresOf, sumsOf, winners } from "../../../labs/scheduler/log";

const iptables = `*nat
:KUBE-SERVICES - [0:0]
-A KUBE-SERVICES -d 10.32.0.77/32 -p tcp -m comment --comment "lab-packet-path/server cluster IP" -m tcp --dport 80 -j KUBE-SVC-ABC
-A KUBE-SERVICES -d 10.32.0.1/32 -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp --dport 443 -j KUBE-SVC-NPX
-A KUBE-SVC-ABC ! -s 10.200.0.0/16 -d 10.32.0.77/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SVC-ABC -m comment --comment "lab-packet-path/server -> 10.200.0.5:8080" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-ONE
-A KUBE-SVC-ABC -m comment --comment "lab-packet-path/server -> 10.200.1.6:8080" -j KUBE-SEP-TWO
-A KUBE-SEP-ONE -s 10.200.0.5/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-ONE -p tcp -m tcp -j DNAT --to-destination 10.200.0.5:8080
-A KUBE-SEP-TWO -p tcp -m tcp -j DNAT --to-destination 10.200.1.6:8080
COMMIT
`;

const nftables = `table ip kube-proxy {
	map service-ips {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 10.32.0.77 . tcp . 80 : goto service-X3-lab-packet-path/server/tcp/,
			     10.32.0.1 . tcp . 443 : goto service-2Q-default/kubernetes/tcp/https }
	}

	chain service-X3-lab-packet-path/server/tcp/ {
		ip daddr 10.32.0.77 tcp dport 80 ip saddr != 10.200.0.0/16 jump mark-for-masquerade
		numgen random mod 2 vmap { 0 : goto endpoint-A-lab-packet-path/server/tcp/__10.200.0.5/8080, 1 : goto endpoint-B-lab-packet-path/server/tcp/__10.200.1.6/8080 }
	}

	chain endpoint-A-lab-packet-path/server/tcp/__10.200.0.5/8080 {
		ip saddr 10.200.0.5 jump mark-for-masquerade
		meta l4proto tcp dnat to 10.200.0.5:8080
	}

	chain endpoint-B-lab-packet-path/server/tcp/__10.200.1.6/8080 {
		meta l4proto tcp dnat to 10.200.1.6:8080
	}
}
`;

const nftablesAtRandom = `table ip kube-proxy {
	map service-ips {
		type ipv4_addr . inet_proto . inet_service : verdict
		comment "ClusterIP, ExternalIP and LoadBalancer IP traffic"
		elements = { 10.32.0.10 . tcp . 53 : goto service-NWB-kube-system/kube-dns/tcp/dns-tcp,
			     10.32.0.77 . tcp . 80 : goto service-X3-lab-packet-path/server/tcp/ }
	}

	chain service-X3-lab-packet-path/server/tcp/ {
		meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.200.0.5 . 8080, 1 : 10.200.1.6 . 8080 }
	}

	chain service-NWB-kube-system/kube-dns/tcp/dns-tcp {
		meta l4proto tcp dnat ip to numgen random mod 1 map { 0 : 10.200.0.2 . 53 }
	}
}
`;

describe("kube-proxy's rules", () => {
  it.each([
    ["iptables", iptables],
    ["nftables", nftablesAtRandom],
    ["nftables with session affinity", nftables],
  ])("lead from the Service's address to its endpoints in mode %s", (_mode, rules) => {
    expect(endpointsOf(rules, "10.32.0.77", 80)).toEqual(["10.200.0.5:8080", "10.200.1.6:8080"]);
    expect(endpointsOf(rules, "10.32.0.77", 81)).toEqual([]);
    expect(endpointsOf(rules, "10.32.0.7", 80)).toEqual([]);
  });
});

describe("the scheduler's log", () => {
  const log = `I1123 22:00:00.1 1 schedule_one.go:799] "Plugin scored node for pod" pod="ns/a" plugin="NodeResourcesFit" node="worker-0" score=77
I1123 22:00:00.1 1 schedule_one.go:799] "Plugin scored node for pod" pod="ns/a" plugin="NodeResourcesFit" node="worker-1" score=98
I1123 22:00:00.1 1 schedule_one.go:864] "Calculated node's final score for pod" pod="ns/a" node="worker-0" score=277
I1123 22:00:00.1 1 schedule_one.go:864] "Calculated node's final score for pod" pod="ns/a" node="worker-1" score=298
I1123 22:00:00.1 1 schedule_one.go:864] "Calculated node's final score for pod" pod="ns/ab" node="worker-0" score=999
I1123 22:00:00.1 1 default_binder.go:53] "Attempting to bind pod to node" pod="ns/a" node="worker-1"`;

  it("yields the scores of one pod", () => {
    expect(scoresOf(log, "ns/a")).toEqual({
      final: { "worker-0": 277, "worker-1": 298 },
      byPlugin: { NodeResourcesFit: { "worker-0": 77, "worker-1": 98 } },
    });
  });
  it("adds up the plugins' scores for each node", () => {
    const byPlugin = { Fit: { a: 77, b: 98 }, Taints: { a: 300, b: 300 } };
    expect(sumsOf({ final: {}, byPlugin })).toEqual({ a: 377, b: 398 });
  });
  it("names every node with the highest score", () => {
    expect(winners({ a: 1, c: 3, b: 3 })).toEqual(["b", "c"]);
  });
});

describe("etcd", () => {
  it("reads group, version and kind from a stored value, even if a length takes two bytes", () => {
    const kind = "K".repeat(200);
    const meta = Buffer.concat([
      Buffer.from([0x0a, 7]),
      Buffer.from("apps/v1"),
      Buffer.from([0x12, 0xc8, 0x01]),
      Buffer.from(kind),
    ]);
    const length = Buffer.from([0x80 | (meta.length & 0x7f), meta.length >> 7]);
    const value = Buffer.concat([Buffer.from("k8s\0"), Buffer.from([0x0a]), length, meta, Buffer.from([0x12, 0])]);
    expect(storedType(value)).toEqual({ apiVersion: "apps/v1", kind });
  });
  it("reports what it found if a value has a different form", () => {
    expect(() => storedType(Buffer.from("k8s:enc:secretbox:v1:key1:"))).toThrow("k8s:enc:secr");
  });
  it("shows bytes as a hex dump's right column does", () => {
    expect(printable(Buffer.from([0, 0x41, 0xff, 0x7e, 0x0a]))).toBe(".A.~.");
  });
  it("uses keys and commands as a reader would type them", () => {
    expect(registryKey("secrets", "default", "a")).toBe("/registry/secrets/default/a");
    expect(etcdctl("member list")).toBe(
      "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/etcd-ca.pem --cert=/etc/etcd/etcd.pem --key=/etc/etcd/etcd-key.pem member list",
    );
  });
});

describe("quantities", () => {
  it.each([
    ["2", 2000],
    ["1900m", 1900],
    ["0.5", 500],
    [undefined, 0],
  ])("%s of cpu is %i millicores", (text, value) => expect(millicores(text)).toBe(value));
  it.each([
    ["4014536Ki", 4014536],
    ["1Gi", 1048576],
    ["1024", 1],
    ["1M", 977],
  ])("%s of memory is %i Ki", (text, value) => expect(kibibytes(text)).toBe(value));
  it("rejects anything else", () => expect(() => millicores("two")).toThrow('"two" is not a quantity'));
  it("sums the requests of a node's living pods", () => {
    const pod = (node: string, phase: string, cpu: string) => ({
      spec: { nodeName: node, containers: [{ resources: { requests: { cpu, memory: "1Mi" } } }, {}] },
      status: { phase },
    });
    const pods = [
      pod("a", "Running", "100m"),
      pod("a", "Succeeded", "100m"),
      pod("b", "Running", "1"),
      pod("a", "Pending", "50m"),
    ];
    expect(requestedOn("a", pods as unknown as Parameters<typeof requestedOn>[1])).toEqual({ cpu: 150, memory: 2048 });
  });
});

describe("nslookup", () => {
  it("leaves out the server's own address", () => {
    const output =
      "Server:\t\t10.32.0.10\nAddress:\t10.32.0.10:53\n\nName:\tdb.ns.svc.cluster.local\nAddress: 10.200.1.9\nName:\tdb.ns.svc.cluster.local\nAddress: 10.200.0.7\n";
    expect(addressesIn(output)).toEqual(["10.200.0.7", "10.200.1.9"]);
  });
  it("finds no address in a refusal", () => {
    expect(addressesIn("Server:\t10.32.0.10\nAddress:\t10.32.0.10:53\n\n** server can't find x: NXDOMAIN\n")).toEqual(
      [],
    );
  });
});

describe("an SSH configuration", () => {
  it("yields the machines of the cluster, without patterns", () => {
    expect(
      hostsOf("Host controller-0\n  User admin\nHost worker-0 worker-1\nHost balancer\nHost *\n  Port 22\n"),
    ).toEqual(["controller-0", "worker-0", "worker-1"]);
  });
});

/** Who reaches what in the cluster, from pods, nodes and the administrator's network, and what is closed on purpose. */
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { labImages } from "../../labs/images";
import { ensureImagesFor } from "../../tools/toolchain";
import { eventually } from "../support/cluster";
import { clusterFor, type Needs } from "../support/needs";

const needs: Needs = { preset: "local" };
const cluster = clusterFor("network", needs);
const { network } = cluster.at;
const namespace = "e2e-reach";

const nodes = ["controller-0", "worker-0", "worker-1"] as const;
type NodeName = (typeof nodes)[number];
const addressOf: Readonly<Record<NodeName, string>> = {
  "controller-0": `${network}.1.11`,
  "worker-0": `${network}.1.21`,
  "worker-1": `${network}.1.22`,
};
/** The nodes' own addresses in the pod network. */
const gatewayOf: Readonly<Record<NodeName, string>> = {
  "controller-0": "10.200.255.1",
  "worker-0": "10.200.0.1",
  "worker-1": "10.200.1.1",
};
const admin = `${network}.0.1`;

/** Of the DaemonSet's pod on each node. */
const pods = {} as Record<NodeName, { name: string; ip: string }>;
const clusterIps: Record<string, string> = {};

beforeAll(async () => {
  await ensureImagesFor(labImages);
  await cluster.apply(readFileSync(join(__dirname, "manifests/reach.yaml"), "utf8"));
  for (const name of ["server", "on-the-node"])
    await cluster.kubectl`-n ${namespace} rollout status daemonset/${name} --timeout=180s`;
  await cluster.kubectl`-n ${namespace} wait --for=condition=Ready pod/hairpin --timeout=60s`;
  const columns = 'jsonpath={range .items[*]}{.spec.nodeName} {.metadata.name} {.status.podIP}{"\\n"}{end}';
  for (const line of (await cluster.kubectl`-n ${namespace} get pods -l app=server -o ${columns}`).split("\n")) {
    const [node, name = "", ip = ""] = line.split(" ");
    pods[node as NodeName] = { name, ip };
  }
  const addresses = 'jsonpath={range .items[*]}{.metadata.name} {.spec.clusterIP}{"\\n"}{end}';
  for (const line of (await cluster.kubectl`-n ${namespace} get services -o ${addresses}`).split("\n")) {
    const [name = "", ip = ""] = line.split(" ");
    clusterIps[name] = ip;
  }
});

/** Where a question comes from: a node, a pod (by name) or the administrator's machine. */
type Origin = { readonly node: NodeName } | { readonly pod: string } | "admin";
type Protocol = "http" | "udp";

/** In bash, which needs no program for UDP. @param request a path of the server, or a word */
const question = (protocol: Protocol, address: string, port: number, request: string): string =>
  protocol === "http"
    ? `curl -s -S --max-time 5 http://${address}:${port}/${request} 2>&1`
    : `exec 3<>/dev/udp/${address}/${port}; echo ${request} >&3; timeout 5 dd bs=200 count=1 status=none <&3 || echo no answer`;

/** The server's answer to `hostname` or `clientip`, or an error message. */
async function ask(
  origin: Origin,
  protocol: Protocol,
  address: string,
  port: number,
  request: string,
): Promise<string> {
  const command = question(protocol, address, port, request);
  if (origin === "admin") return (await execa("bash", ["-c", command], { reject: false })).stdout.trim();
  if ("node" in origin) return (await cluster.trySsh(origin.node, `bash -c '${command}'`)).stdout.trim();
  const dial = `host=${address}&port=${port}&protocol=${protocol}&request=${request}&tries=1`;
  const { stdout, all } =
    await cluster.tryKubectl`-n ${namespace} exec ${origin.pod} -- wget -q -O- -T 20 http://127.0.0.1:8080/dial?${dial}`;
  if (!stdout.startsWith("{")) return all;
  const { responses = [], errors = [] } = JSON.parse(stdout) as { responses?: string[]; errors?: string[] };
  return responses[0]?.trim() ?? errors.join();
}

const nodeOrigins = (): Origin[] => nodes.map((node) => ({ node }));
const podOrigins = (): Origin[] => nodes.map((node) => ({ pod: pods[node].name }));
const named = (origin: Origin): string =>
  origin === "admin"
    ? "the admin network"
    : "node" in origin
      ? origin.node
      : `a pod on ${nodes.find((node) => pods[node].name === origin.pod) ?? "worker-0"}`;

/** Asks every node's address from every origin. @returns what did not answer as wanted, with what it said. */
async function unreached(
  origins: readonly Origin[],
  protocol: Protocol,
  port: number,
  answer: RegExp,
): Promise<string[]> {
  const failures = [];
  for (const origin of origins)
    for (const node of nodes) {
      const saw = await ask(origin, protocol, addressOf[node], port, "hostname");
      if (!answer.test(saw)) failures.push(`${named(origin)} -> ${node}:${port} ${protocol}: ${saw}`);
    }
  return failures;
}

/** Waits until kube-proxy has programmed the NodePorts on every node. */
const untilServed = (): Promise<void> =>
  eventually("every node to serve the NodePorts", 60, async () => {
    const failures = [];
    for (const port of [30180, 30182]) failures.push(...(await unreached(["admin"], "http", port, /^server-\w{5}$/)));
    for (const node of nodes) {
      const saw = await ask("admin", "http", addressOf[node], 30380, "hostname");
      if (saw !== "hairpin") failures.push(`the admin network -> ${node}:30380: ${saw}`);
    }
    return failures.length === 0 ? { done: undefined } : { saw: failures.join("; ") };
  });

describe("what is open", () => {
  beforeAll(untilServed);

  it.each<[string, Protocol, number]>([
    ["TCP", "http", 30180],
    ["UDP", "udp", 30181],
    ["TCP, for local endpoints only", "http", 30182],
  ])("a NodePort of every node, from everywhere: %s", async (_, protocol, port) => {
    expect(await unreached(["admin", ...nodeOrigins(), ...podOrigins()], protocol, port, /^server-\w{5}$/)).toEqual([]);
  });

  it.each<[Protocol, number]>([
    ["http", 8100],
    ["udp", 8101],
  ])("a host port of every node, from nodes and pods: %s", async (protocol, port) => {
    expect(await unreached([...nodeOrigins(), ...podOrigins()], protocol, port, /^server-\w{5}$/)).toEqual([]);
  });

  it.each<[Protocol, number]>([
    ["http", 8200],
    ["udp", 8201],
  ])("a host-network pod of every node, from nodes and pods: %s", async (protocol, port) => {
    expect(
      await unreached([...nodeOrigins(), ...podOrigins()], protocol, port, /^(controller-0|worker-[01])$/),
    ).toEqual([]);
  });

  it("a Service's own address, from nodes and pods", async () => {
    for (const origin of [...nodeOrigins(), ...podOrigins()])
      for (const [protocol, port] of [["http", 80] as const, ["udp", 81] as const])
        expect(await ask(origin, protocol, clusterIps["server"] ?? "", port, "hostname"), named(origin)).toMatch(
          /^server-/,
        );
  });

  it("a pod for itself: through its Service, its NodePort and its host port", async () => {
    const hairpin = { pod: "hairpin" };
    const ask0 = (protocol: Protocol, address: string, port: number) =>
      ask(hairpin, protocol, address, port, "hostname");
    expect(await ask0("http", clusterIps["hairpin"] ?? "", 80)).toBe("hairpin");
    expect(await ask0("udp", clusterIps["hairpin"] ?? "", 81)).toBe("hairpin");
    for (const node of nodes) {
      expect(await ask0("http", addressOf[node], 30380), node).toBe("hairpin");
      expect(await ask0("udp", addressOf[node], 30381), node).toBe("hairpin");
    }
    expect(await ask0("http", addressOf["worker-0"], 8300)).toBe("hairpin");
  });

  it("nodes and pods, for a ping", async () => {
    const targets = [...Object.values(addressOf), ...nodes.map((node) => pods[node].ip)];
    const failures = [];
    for (const node of nodes)
      for (const target of targets) {
        const results = {
          [node]: await cluster.trySsh(node, `ping -c 1 -W 3 ${target}`),
          [`a pod on ${node}`]:
            await cluster.tryKubectl`-n ${namespace} exec ${pods[node].name} -- ping -c 1 -W 3 ${target}`,
        };
        for (const [origin, { exitCode, all }] of Object.entries(results))
          if (exitCode !== 0) failures.push(`${origin} -> ${target}: ${all}`);
      }
    expect(failures).toEqual([]);
  });
});

describe("the client's address", () => {
  const client = async (origin: Origin, address: string, port: number): Promise<string> =>
    (await ask(origin, "http", address, port, "clientip")).replace(/:\d+$/, "");

  it("is the pod's, for a pod and for a Service", async () => {
    for (const from of nodes)
      for (const to of nodes) expect(await client({ pod: pods[from].name }, pods[to].ip, 8080)).toBe(pods[from].ip);
    expect(await client({ pod: "hairpin" }, clusterIps["server"] ?? "", 80)).toMatch(/^10\.200\.0\.\d+$/);
  });

  it("is kept by a NodePort for local endpoints only, and by a host port", async () => {
    expect(await client("admin", addressOf["worker-0"], 30182)).toBe(admin);
    expect(await client({ node: "worker-1" }, addressOf["worker-0"], 30182)).toBe(addressOf["worker-1"]);
    expect(await client({ node: "worker-1" }, addressOf["worker-0"], 8100)).toBe(addressOf["worker-1"]);
  });

  it("is the node's in the pod network, for pods of other nodes", async () => {
    expect(await client({ node: "worker-1" }, pods["worker-0"].ip, 8080)).toBe(gatewayOf["worker-1"]);
    expect(await client({ node: "controller-0" }, pods["worker-0"].ip, 8080)).toBe(gatewayOf["controller-0"]);
  });
});

describe("what is closed", () => {
  /** Whether a connection is accepted, whatever the server says then. */
  async function opens(origin: Origin, address: string, port: number): Promise<boolean> {
    if (origin === "admin") throw new Error("the administrator's machine is the host itself");
    if ("node" in origin)
      return (await cluster.trySsh(origin.node, `timeout 3 bash -c '</dev/tcp/${address}/${port}'`)).exitCode === 0;
    const connect =
      await cluster.tryKubectl`-n ${namespace} exec ${origin.pod} -- /agnhost connect --timeout=3s ${address}:${port}`;
    return connect.exitCode === 0;
  }

  it("SSH and etcd, from pods; the kubelet and SSH through an address of the pod network", async () => {
    for (const from of nodes) {
      const pod = { pod: pods[from].name };
      for (const node of nodes) {
        expect(await opens(pod, addressOf[node], 10250), `${from} -> ${node}, kubelet`).toBe(true);
        expect(await opens(pod, addressOf[node], 22), `${from} -> ${node}, SSH`).toBe(false);
        for (const port of [22, 10250, 8200])
          expect(await opens(pod, gatewayOf[node], port), `${from} -> ${node} in the pod network, ${port}`).toBe(false);
      }
      for (const port of [2379, 2380]) expect(await opens(pod, addressOf["controller-0"], port)).toBe(false);
      expect(await opens(pod, addressOf["controller-0"], 6443)).toBe(true);
    }
  });

  it("SSH and, from workers, etcd; the kubelet is open, and so is any other port", async () => {
    const worker = { node: "worker-0" } as const;
    expect(await opens(worker, addressOf["controller-0"], 10250)).toBe(true);
    expect(await opens(worker, addressOf["controller-0"], 8200)).toBe(true);
    for (const port of [22, 2379, 2380]) expect(await opens(worker, addressOf["controller-0"], port)).toBe(false);
    expect(await opens({ node: "controller-0" }, addressOf["worker-1"], 22)).toBe(false);
    expect(await opens({ node: "controller-0" }, gatewayOf["worker-1"], 10250)).toBe(false);
  });

  it("the metadata service, for all but root's processes on a node", async () => {
    // the local cloud has none, so a network namespace of the node is one
    await cluster.script("worker-0", "metadata-service.sh");
    const get = "curl -s -S -f --max-time 3 http://169.254.169.254/";
    expect((await cluster.trySsh("worker-0", `sudo ${get}`)).exitCode).toBe(0);
    expect((await cluster.trySsh("worker-0", get)).exitCode).not.toBe(0);
    for (const pod of [pods["worker-0"].name, "hairpin"])
      expect(await opens({ pod }, "169.254.169.254", 80)).toBe(false);
  });

  it("the host of the local cloud, but for the mirror", async () => {
    const server = createServer((_, response) => response.end("the host"));
    await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
    try {
      const { port } = server.address() as { port: number };
      expect(await (await fetch(`http://${admin}:${port}`)).text()).toBe("the host");
      for (const origin of [{ node: "worker-0" }, { pod: pods["worker-0"].name }] as const) {
        expect(await opens(origin, admin, 8080)).toBe(true);
        expect(await opens(origin, admin, port)).toBe(false);
      }
    } finally {
      server.close();
    }
  });
});

describe("outside the cluster", () => {
  /** A host on the internet, as far as the cluster can tell: a network namespace behind this machine. */
  const outside = { namespace: "kfs-outside", address: "203.0.113.2", link: "kfs-outside0" };
  const servers: { kill(): unknown }[] = [];
  const ip = (...args: string[]) => execa("ip", args);

  beforeAll(async () => {
    await ip("netns", "add", outside.namespace);
    await ip("link", "add", outside.link, "type", "veth", "peer", "name", "eth0", "netns", outside.namespace);
    await ip("address", "add", "203.0.113.1/24", "dev", outside.link);
    await ip("link", "set", outside.link, "up");
    await ip("-n", outside.namespace, "address", "add", `${outside.address}/24`, "dev", "eth0");
    await ip("-n", outside.namespace, "link", "set", "eth0", "up");
    for (const port of ["80", "9000"]) {
      const server = [
        "netns",
        "exec",
        outside.namespace,
        "python3",
        "-m",
        "http.server",
        "-d",
        "/usr/share/misc",
        port,
      ];
      servers.push(execa("ip", server, { stdio: "ignore", reject: false }));
    }
  });
  afterAll(async () => {
    for (const server of servers) server.kill();
    await ip("netns", "delete", outside.namespace);
  });

  /** Ports that a pod and a node reach there. */
  const reached = async (): Promise<string[]> => {
    const found = [];
    for (const port of [80, 9000])
      for (const [name, run] of [
        [
          "pod",
          (command: string) => cluster.tryKubectl`-n ${namespace} exec ${pods["worker-0"].name} -- sh -c ${command}`,
        ],
        ["node", (command: string) => cluster.trySsh("worker-0", command)],
      ] as const) {
        const get = name === "pod" ? "wget -q -O- -T 3" : "curl -s -S -f --max-time 3";
        if ((await run(`${get} http://${outside.address}:${port}/`)).exitCode === 0) found.push(`${name} ${port}`);
      }
    return found;
  };

  it("every port can be reached, and with `egress: downloads` only those of downloads", async () => {
    await eventually("the servers outside to respond", 10, async () => {
      const saw = await reached();
      return saw.length === 4 ? { done: undefined } : { saw: saw.join() };
    });
    cluster.configure({ egress: "downloads" });
    await cluster.make`up`;
    await eventually("only port 80 to be open", 10, async () => {
      const saw = await reached();
      return saw.join() === "pod 80,node 80" ? { done: undefined } : { saw: saw.join() };
    });
    cluster.configure({ egress: undefined });
    await cluster.make`up`;
    await eventually("every port to be open again", 10, async () => {
      const saw = await reached();
      return saw.length === 4 ? { done: undefined } : { saw: saw.join() };
    });
  });
});

describe("with kube-proxy's other mode", () => {
  beforeAll(async () => {
    cluster.configure({ kubeProxyMode: "nftables" });
    await cluster.make`up`;
    await untilServed();
  });

  it.each<[string, Protocol, number]>([
    ["NodePorts, TCP", "http", 30180],
    ["NodePorts, UDP", "udp", 30181],
    ["NodePorts for local endpoints only", "http", 30182],
  ])("the same is open: %s", async (_, protocol, port) => {
    expect(await unreached(["admin", ...nodeOrigins(), ...podOrigins()], protocol, port, /^server-\w{5}$/)).toEqual([]);
  });

  it("and so are host ports, and a pod for itself", async () => {
    expect(await unreached([...nodeOrigins(), ...podOrigins()], "http", 8100, /^server-\w{5}$/)).toEqual([]);
    for (const [address, port] of [
      [clusterIps["hairpin"] ?? "", 80],
      [addressOf["controller-0"], 30380],
      [addressOf["worker-0"], 30380],
      [addressOf["worker-0"], 8300],
    ] as const)
      expect(await ask({ pod: "hairpin" }, "http", address, port, "hostname"), `${address}:${port}`).toBe("hairpin");
  });
});

it("whoever writes a NetworkPolicy is told that nothing enforces it", async () => {
  const policy = {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "deny", namespace },
    spec: { podSelector: {}, policyTypes: ["Ingress"] },
  };
  expect(await cluster.apply(JSON.stringify(policy))).toMatch(/Warning: .*nothing enforces it/);
  expect(await cluster.kubectl`-n ${namespace} get networkpolicy deny -o name`).toContain("deny");
});

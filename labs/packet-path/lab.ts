/** A packet's path from pod to pod, and through a Service: each hop is observed where it happens. */
import type { Bench } from "../framework/bench";
import { contains, oneOf, otherThan, such } from "../framework/expectation";
import type { Manifest, Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import type { Live } from "../framework/live";
import { isReady } from "../framework/states";
import { endpointsOf } from "./rules";

interface Route {
  readonly dst: string;
  readonly dev: string;
  readonly gateway?: string;
}

const askMode = "curl -sf -m 3 http://127.0.0.1:10249/proxyMode";
/** kube-proxy's rules, in its current mode. */
const listRules = `mode=$(${askMode}) || exit 1
if [ "$mode" = nftables ]; then nft list table ip kube-proxy; else iptables-save -t nat; fi`;
/** Counts each mode's rules for the Services of this lab, whoever wrote them. */
const countRules = `echo "$(iptables-save -t nat | grep -c -- '-A KUBE-SVC-.*lab-packet-path/')" "$(nft list table ip kube-proxy 2>/dev/null | grep -c 'chain service-.*lab-packet-path/')"`;

async function experiment(bench: Bench): Promise<void> {
  const { nodes } = bench;
  const [near, far] = nodes.workers as readonly [string, string];
  const pods = await bench.watch("Pod");
  await bench.baseline("a client and a server on one worker, a server on another", async () => {
    await bench.apply("ends.yaml", (object) => place(object, near, far));
    await pods.until("three Ready pods", (items) => items.length === 3 && items.every(isReady), 60);
  });
  const address = (name: string): string => pods.named(name)!.status.podIP!;
  await fromPodToPod(bench, address, near, far);
  await throughService(bench, pods, near);
}

/** server-0 and the client go to the near worker, server-1 to the far one. */
function place(object: Manifest, near: string, far: string): void {
  if (object.kind !== "Pod") return;
  object["spec"] = {
    ...(object["spec"] as object),
    nodeSelector: { "kubernetes.io/hostname": object.metadata.name === "server-1" ? far : near },
  };
}

async function fromPodToPod(bench: Bench, address: (name: string) => string, near: string, far: string): Promise<void> {
  const { nodes } = bench;
  const subnetOf = async (node: string): Promise<string> =>
    /"subnet":\s*"([^"]+)"/.exec(await nodes.output(node, "cat /etc/cni/net.d/*.conf*"))?.[1] ?? "";
  const subnets = { near: await subnetOf(near), far: await subnetOf(far) };
  const gateway = subnets.near.replace(/0\/24$/, "1");
  bench.keep("pod networks", subnets);

  const inPod = await bench.observe("first hop: out of the pod", () => bench.exec("client", "ip", "route"));
  bench.claim("the pod's only way out is its node's bridge", inPod, contains(`default via ${gateway}`));
  const route = async (to: string): Promise<Route> =>
    (JSON.parse(await nodes.output(near, `ip -j route get ${to}`)) as Route[])[0]!;
  const [local, remote] = await bench.observe(
    "second hop: the node's routes",
    async () => [await route(address("server-0")), await route(address("server-1"))] as const,
  );
  bench.keep("routes on the node", { toItsOwnPod: local, toTheOtherNodesPod: remote });
  bench.claim(
    "to one of its own pods: over the bridge, without a router",
    [local.dev, local.gateway ?? null],
    ["cni0", null],
  );
  bench.claim("to a pod elsewhere: out through the machine's network card", remote.dev, otherThan("cni0"));
  bench.claim(
    "a pod's address identifies its node: it is in that node's network",
    [inNetwork(address("server-0"), subnets.near), inNetwork(address("server-1"), subnets.far)],
    [true, true],
  );
  const devices = await nodes.output(near, "ip -j -d link show");
  bench.claim(
    "no tunnel devices: the packet travels unchanged",
    (JSON.parse(devices) as { linkinfo?: { info_kind?: string } }[]).filter((d) =>
      ["vxlan", "ipip", "wireguard", "geneve"].includes(d.linkinfo?.info_kind ?? ""),
    ).length,
    0,
  );

  const seen = await bench.observe("last hop: what the far server sees", () =>
    bench.exec("client", "wget", "-qO-", "-T", "3", `http://${address("server-1")}:8080/clientip`),
  );
  bench.claim("it sees the client's own pod address: nothing was translated", seen.split(":")[0], address("client"));
}

async function throughService(bench: Bench, pods: Live<"Pod">, near: string): Promise<void> {
  const { api, nodes, namespace } = bench;
  const slices = await bench.watch("EndpointSlice", { labels: "kubernetes.io/service-name=server" });
  const clusterIp = (await api.get("Service", "server", namespace)).spec.clusterIP!;
  const rules = () => nodes.output(near, listRules);
  const inRules = async (): Promise<string[]> => endpointsOf(await rules(), clusterIp, 80);
  const wget = (url: string) => api.exec("client", namespace, ["wget", "-qO-", "-T", "3", url]);

  const holders = await bench.observe("where the Service's address is", async () => {
    const listings = nodes.workers.map(async (node) => ({ node, text: await nodes.output(node, "ip -4 addr show") }));
    return (await Promise.all(listings)).filter(({ text }) => text.includes(`${clusterIp}/`)).map(({ node }) => node);
  });
  bench.claim("machines with that address on an interface", holders, []);
  const endpoints = (items: readonly Stored<"EndpointSlice">[]): string[] =>
    items
      .flatMap((s) =>
        (s.endpoints ?? [])
          .filter((e) => e.conditions?.ready)
          .flatMap((e) => e.addresses.map((a) => `${a}:${s.ports?.[0]?.port}`)),
      )
      .sort();
  await slices.until("both servers in the EndpointSlice", (items) => endpoints(items).length === 2, 20);
  const written = await bench.observe("kube-proxy's rules on the client's node", () =>
    bench.until("the rules to lead to two endpoints", inRules, (found) => found.length === 2, 20),
  );
  const mode = (await nodes.output(near, askMode)).trim();
  bench.keep("kube-proxy mode", mode);
  bench.claim("they lead to exactly the addresses of the EndpointSlice", written, endpoints(slices.items));

  const responses = await bench.observe("forty connections to the Service", async () =>
    (
      await bench.exec(
        "client",
        "sh",
        "-c",
        `for i in $(seq 40); do wget -qO- -T 3 http://${clusterIp}/hostname; echo; done`,
      )
    )
      .trim()
      .split("\n"),
  );
  const counts = {
    "server-0": responses.filter((name) => name === "server-0").length,
    "server-1": responses.filter((name) => name === "server-1").length,
  };
  bench.claim(
    "each reaches one of the two, chosen at random",
    counts,
    such(
      "both respond, 40 in total",
      (c) => c["server-0"] > 0 && c["server-1"] > 0 && c["server-0"] + c["server-1"] === 40,
    ),
  );

  const other = mode === "nftables" ? "iptables" : "nftables";
  await bench.disturb(`kube-proxy on ${near} switches to its other mode, ${other}`, () => inMode(bench, near, other));
  const rewritten = await bench.observe("the rules, in the other form", () =>
    bench.until("the rules to lead to two endpoints again", inRules, (found) => found.length === 2, 30),
  );
  bench.claim("they lead to the same addresses", rewritten, endpoints(slices.items));
  const [iptables = 0, nftables = 0] = (await nodes.output(near, countRules)).trim().split(" ").map(Number);
  bench.claim(
    "in one form only: the other mode's rules were removed",
    { iptables: iptables > 0, nftables: nftables > 0 },
    { iptables: other === "iptables", nftables: other === "nftables" },
  );
  bench.claim(
    "and the Service responds as before",
    (await wget(`http://${clusterIp}/hostname`)).stdout,
    oneOf("server-0", "server-1"),
  );
  await bench.disturb(`it switches back to ${mode}`, () => bench.takeBack());
  bench.claim(
    "and the addresses are the same once more",
    await bench.until("the rules to lead to two endpoints", inRules, (found) => found.length === 2, 30),
    endpoints(slices.items),
  );

  await bench.disturb("one server is deleted", async () => {
    await api.delete("Pod", "server-1", namespace);
    await pods.until("server-1 to be gone", (items) => items.length === 2, 20);
  });
  const left = await bench.observe("the rules follow", () =>
    bench.until("one endpoint in the rules", inRules, (found) => found.length === 1, 20),
  );
  bench.claim("they lead to the other server alone", left, [`${pods.named("server-0")!.status.podIP}:8080`]);

  await bench.disturb(`kube-proxy stops on ${near}, and another Service is created`, async () => {
    await bench.onNode(near, `kube-proxy on ${near}`, {
      change: "systemctl stop kube-proxy",
      undo: "systemctl start kube-proxy",
    });
    await bench.apply("second-service.yaml");
  });
  const second = (await api.get("Service", "second", namespace)).spec.clusterIP!;
  const [known, unknown] = await bench.observe("both Services from that node", async () => [
    await wget(`http://${clusterIp}/hostname`),
    await wget(`http://${second}/hostname`),
  ]);
  bench.claim("existing rules keep working: the kernel applies them, not kube-proxy", known?.stdout, "server-0");
  bench.claim("nothing writes rules for the new Service", unknown?.stdout || "no response", "no response");
  await bench.disturb("kube-proxy starts", () => bench.takeBack());
  const later = await bench.observe("the new Service", () =>
    bench.until(
      "it to respond",
      () => wget(`http://${second}/hostname`),
      (response) => response.exitCode === 0,
      30,
    ),
  );
  bench.claim("it can be reached now", later.stdout, "server-0");
}

/** Restarts a machine's kube-proxy in another mode: a drop-in under /run points it to a changed configuration. */
async function inMode(bench: Bench, node: string, mode: string): Promise<void> {
  const copy = "/run/lab-kube-proxy.yaml";
  const dropIn = "/run/systemd/system/kube-proxy.service.d";
  const restart = "systemctl daemon-reload && systemctl restart kube-proxy";
  await bench.onNode(node, `kube-proxy's mode on ${node}`, {
    change: `set -e
sed 's/^mode: .*/mode: ${mode}/' /var/lib/kube-proxy/config.yaml > ${copy}
mkdir -p ${dropIn}
printf '[Service]\\nExecStart=\\nExecStart=%s --config=${copy}\\n' "$(command -v kube-proxy)" > ${dropIn}/lab.conf
${restart}`,
    undo: `rm -rf ${dropIn} ${copy}; ${restart}`,
  });
}

/** Whether an IPv4 address is in a network of whole bytes, such as 10.200.0.0/24. */
const inNetwork = (address: string, network: string): boolean =>
  address.split(".").slice(0, 3).join(".") === network.split(".").slice(0, 3).join(".");

export default {
  name: "packet-path",
  title: "A packet's path: pod to pod, and through a Service",
  part: "I–III · The cluster by hand",
  hypothesis:
    "Every pod has an address that all other pods can reach directly: a bridge on its node, a route between nodes, no tunnel, no translation. A Service's address exists only in rules that kube-proxy writes and the kernel applies.",
  needs: ["nodes", "two-workers"],
  experiment,
} satisfies Lab;

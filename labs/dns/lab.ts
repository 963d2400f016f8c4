/** How a name becomes an address: the pod's resolv.conf, the search list, CoreDNS, and the servers it forwards to. */
import type { Api } from "../framework/api";
import type { Bench } from "../framework/bench";
import { atLeast, atMost, contains, lacks, such } from "../framework/expectation";
import type { Lab } from "../framework/lab";
import { addressesIn } from "../framework/lookup";
import { isReady } from "../framework/states";

async function experiment(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const pods = await bench.watch("Pod");
  await bench.baseline("two Services, and pods to query from", async () => {
    await bench.apply("names.yaml");
    await pods.until("four Ready pods", (items) => items.length === 4 && items.every(isReady), 60);
  });
  const dns = (await api.get("Service", "kube-dns", "kube-system")).spec.clusterIP!;
  const domain = "svc.cluster.local";
  const plain = (await api.get("Service", "plain", namespace)).spec.clusterIP!;
  const servers = pods.items.filter((p) => p.metadata.labels?.["app"] === "named").map((p) => p.status.podIP!);
  const ask = async (name: string, type = "a"): Promise<{ exitCode: number; text: string; addresses: string[] }> => {
    const { exitCode, stdout, stderr } = await api.exec("asker", namespace, ["nslookup", `-type=${type}`, name]);
    return { exitCode, text: stdout + stderr, addresses: addressesIn(stdout) };
  };
  const found = async (name: string): Promise<string[]> => (await ask(name)).addresses;

  const conf = await bench.observe("the pod's resolv.conf", () => bench.exec("asker", "cat", "/etc/resolv.conf"));
  bench.claim("it queries the Service kube-dns", conf, contains(`nameserver ${dns}`));
  bench.claim(
    "it searches its own namespace first",
    conf,
    contains(`search ${namespace}.${domain} ${domain} cluster.local`),
  );
  bench.claim("names with fewer than five dots go through the search list first", conf, contains("ndots:5"));

  await bench.observe("Services by their full names", async () => {
    await bench.until(
      "CoreDNS to learn of the Service",
      () => found(`plain.${namespace}.${domain}`),
      (list) => list.length > 0,
      30,
    );
    bench.claim("an ordinary Service resolves to one address, its own", await found(`plain.${namespace}.${domain}`), [
      plain,
    ]);
    bench.claim(
      "a headless Service resolves to its pods",
      await found(`headless.${namespace}.${domain}`),
      [...servers].sort(),
    );
    const srv = await ask(`_http._tcp.plain.${namespace}.${domain}`, "srv");
    bench.claim(
      "a named port has an SRV record",
      srv.text,
      such("port 80 of the Service", (text) => new RegExp(`\\b80\\s+plain\\.${namespace}`).test(text)),
    );
    const dashed = servers[0]!.replaceAll(".", "-");
    bench.claim(
      "a pod has a name made from its address, with dashes",
      await found(`${dashed}.${namespace}.pod.cluster.local`),
      [servers[0]!],
    );
    bench.claim("kubernetes.default is the API server's Service", await found(`kubernetes.default.${domain}`), [
      (await api.get("Service", "kubernetes", "default")).spec.clusterIP!,
    ]);
  });

  await bench.observe("short names, completed from the search list", async () => {
    const page = async (host: string) =>
      (await api.exec("asker", namespace, ["wget", "-qO-", "-T", "5", `http://${host}/hostname`])).stdout;
    bench.claim(
      "the Service's name alone, within its namespace",
      await page("plain"),
      such("one of the two servers", (name) => name.startsWith("named-")),
    );
    bench.claim(
      "the name with its namespace",
      await page(`plain.${namespace}`),
      such("one of the two servers", (name) => name.startsWith("named-")),
    );
  });

  await bench.observe("what the search list costs", async () => {
    // Both names mean the same Service; only the second is complete. Four dots are fewer than ndots, so the first is
    // tried in every search domain before it is tried as it stands.
    const name = `plain.${namespace}.${domain}`;
    const inVain = async (host: string): Promise<number> => {
      const before = await nxdomains(api);
      await bench.exec("asker", "wget", "-qO-", "-T", "5", `http://${host}/hostname`);
      return (await nxdomains(api)) - before;
    };
    bench.claim(`wasted queries before ${name} is found`, await inVain(name), atLeast(3));
    bench.claim(`and with a trailing dot`, await inVain(`${name}.`), 0);
  });

  await bench.observe("names that do not exist", async () => {
    const missing = await ask(`nobody.${namespace}.${domain}.`);
    bench.claim("inside the cluster: NXDOMAIN", missing.text, contains("NXDOMAIN"));
    const start = Date.now();
    const outside = await ask("kubernetes.io.");
    const verdict = outside.addresses.length
      ? "answered"
      : (/NXDOMAIN|REFUSED|SERVFAIL|No answer/i.exec(outside.text)?.[0] ?? "no response");
    bench.keep("an outside name", { verdict, seconds: (Date.now() - start) / 1000 });
    bench.claim(
      "an outside name is answered or refused promptly, not forwarded in a loop (seconds)",
      Math.round((Date.now() - start) / 1000),
      atMost(12),
    );
    const coredns = await api.list("Pod", { namespace: "kube-system", labels: "k8s-app=kube-dns" });
    const logs = await Promise.all(coredns.map((p) => api.logs(p.metadata.name, "kube-system")));
    bench.claim("loops that CoreDNS has detected", logs.filter((log) => log.includes("Loop")).length, 0);
  });

  const own = await bench.observe("dnsPolicy: Default", () => bench.exec("as-the-node", "cat", "/etc/resolv.conf"));
  bench.claim("the pod queries the node's servers, not the cluster's", own, lacks(dns));

  const moved = await bench.disturb("a server is deleted", async () => {
    const victim = pods.items.find((p) => p.metadata.labels?.["app"] === "named")!;
    await api.delete("Pod", victim.metadata.name, namespace);
    await pods.until(
      "a new server",
      (items) =>
        items.length === 4 && items.every(isReady) && !items.some((p) => p.metadata.uid === victim.metadata.uid),
      30,
    );
    return pods.items
      .filter((p) => p.metadata.labels?.["app"] === "named")
      .map((p) => p.status.podIP!)
      .sort();
  });
  const asked = bench.timeline.now();
  const now = await bench.observe("the headless name follows", () =>
    bench.until(
      "the new set of addresses",
      () => found(`headless.${namespace}.${domain}`),
      (list) => JSON.stringify(list) === JSON.stringify(moved),
      60,
    ),
  );
  bench.claim("it resolves to the new set", now, moved);
  bench.claim("within the records' time to live, 30 s (seconds)", Math.round(bench.timeline.now() - asked), atMost(35));
}

/** How many NXDOMAIN responses CoreDNS has sent, by its own count. */
async function nxdomains(api: Api): Promise<number> {
  const pods = await api.list("Pod", { namespace: "kube-system", labels: "k8s-app=kube-dns" });
  const counts = pods.map(async ({ metadata }) => {
    const response = await api.request(
      "GET",
      `/api/v1/namespaces/kube-system/pods/${metadata.name}:9153/proxy/metrics`,
    );
    if (response.status !== 200)
      throw new Error(`the metrics of ${metadata.name}: ${response.status} ${response.text}`);
    const lines = response.text.matchAll(/^coredns_dns_responses_total\{[^}]*rcode="NXDOMAIN"[^}]*\} (\S+)$/gm);
    return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

export default {
  name: "dns",
  title: "DNS: how a name becomes an address",
  part: "I–III · The cluster by hand",
  hypothesis:
    "A pod queries one address for every name, and completes short names by itself. CoreDNS answers for the cluster from what the API knows at that moment, and forwards all other names.",
  experiment,
} satisfies Lab;

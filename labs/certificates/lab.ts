/** Every certificate as it is served, and which doors each one opens. */
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { checked } from "../framework/api";
import type { Bench } from "../framework/bench";
import { atLeast, contains, startsWith, such } from "../framework/expectation";
import type { Lab } from "../framework/lab";
import { internalIp } from "../framework/states";
import { describe, type Handshake, issuedBy, type Served, servedBy } from "../framework/tls";

/** The three authorities, and where a controller keeps their certificates. */
const authorities = {
  "kubernetes-ca": "/etc/kubernetes/pki/kubernetes-ca.pem",
  "etcd-ca": "/etc/etcd/etcd-ca.pem",
  "front-proxy-ca": "/etc/kubernetes/pki/front-proxy-ca.pem",
} as const;
type Authority = keyof typeof authorities;

async function experiment(bench: Bench): Promise<void> {
  const { api, nodes } = bench;
  const controller = nodes.controllers[0]!;
  const all = await api.list("Node");
  const addressOf = (name: string): string => internalIp(all.find((n) => n.metadata.name === name)!);
  const cas = await bench.baseline("the three authorities", async () => {
    const read = Object.entries(authorities).map(
      async ([name, file]) => [name, new X509Certificate(await nodes.output(controller, `cat ${file}`))] as const,
    );
    return Object.fromEntries(await Promise.all(read)) as Record<Authority, X509Certificate>;
  });
  bench.claim(
    "each is self-signed",
    Object.values(cas).map((ca) => ca.ca && issuedBy(ca, ca)),
    [true, true, true],
  );
  bench.claim(
    "no two share a key",
    new Set(Object.values(cas).map((ca) => ca.publicKey.export({ type: "spki", format: "pem" }))).size,
    3,
  );

  const kubernetes = await api.get("Service", "kubernetes", "default");
  const service = kubernetes.spec.clusterIP ?? "";
  const apiNames = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
  ].map((n) => `DNS:${n}`);
  const endpoint = api.config.getCurrentCluster()?.tlsServerName ?? api.server.hostname;
  const judgeServed = async (
    who: string,
    authority: Authority,
    port: number,
    at: string,
    sans: readonly string[],
    uses: readonly string[],
  ) => {
    const names = Object.keys(authorities) as Authority[];
    const handshakes = await Promise.all(names.map((name) => servedBy(nodes, controller, at, port, cas[name])));
    const served = handshakes[names.indexOf(authority)]!;
    bench.keep(who, summary(served));
    bench.claim(
      `${who}: authorities under which TLS accepts its chain`,
      names.filter((_, i) => handshakes[i]!.trusted),
      [authority],
    );
    bench.claim(
      `${who}: its chain leads from the leaf to the authority`,
      [served.chain[0], served.chain.at(-1)],
      [served.subject, describe(cas[authority]).subject],
    );
    bench.claim(
      `${who}: names missing from its certificate`,
      sans.filter((san) => !covers(served.sans, san)),
      [],
    );
    bench.claim(`${who}: a leaf certificate, for these uses`, [served.isCa, served.usages], [false, uses]);
    bench.claim(`${who}: days of validity left`, daysLeft(served), atLeast(1));
    return served;
  };

  await bench.observe("what the API server serves, on every control-plane machine", async () => {
    for (const name of nodes.controllers) {
      const ip = addressOf(name);
      await judgeServed(
        `kube-apiserver of ${name}`,
        "kubernetes-ca",
        6443,
        ip,
        [...apiNames, `IP:${service}`, "IP:127.0.0.1", `IP:${ip}`, san(endpoint)],
        ["server"],
      );
    }
  });
  await bench.observe("what etcd serves, to clients and to peers", async () => {
    for (const name of nodes.controllers) {
      const sans = ["DNS:localhost", "IP:127.0.0.1", `IP:${addressOf(name)}`, `DNS:${name}`];
      await judgeServed(`etcd of ${name}, client port`, "etcd-ca", 2379, addressOf(name), sans, ["client", "server"]);
      await judgeServed(`etcd of ${name}, peer port`, "etcd-ca", 2380, addressOf(name), sans, ["client", "server"]);
    }
  });
  await bench.observe("what every kubelet serves to the API server", async () => {
    for (const node of all) {
      const { name } = node.metadata;
      const served = await judgeServed(
        `kubelet of ${name}`,
        "kubernetes-ca",
        10250,
        internalIp(node),
        [`DNS:${name}`, `IP:${internalIp(node)}`],
        ["client", "server"],
      );
      bench.claim(
        `kubelet of ${name}: the subject is the node's identity`,
        served.subject,
        such(
          `CN=system:node:${name}, O=system:nodes`,
          (s) => s.includes(`CN=system:node:${name}`) && s.includes("O=system:nodes"),
        ),
      );
    }
  });
  await bench.observe("what the controller manager and the scheduler serve, on loopback", async () => {
    for (const name of nodes.controllers)
      for (const [component, port] of [
        ["kube-controller-manager", 10257],
        ["kube-scheduler", 10259],
      ] as const)
        await onLoopback(bench, `${component} of ${name}`, name, addressOf(name), port);
  });
  await doors(bench, addressOf(nodes.workers[0]!));
}

/** Two components that listen on loopback only: each generates its own authority and certificate at every start. */
async function onLoopback(bench: Bench, who: string, machine: string, address: string, port: number): Promise<void> {
  const served = await servedBy(bench.nodes, machine, "127.0.0.1", port);
  bench.keep(who, summary(served));
  bench.claim(
    `${who}: its chain is a certificate for this machine alone, and an authority that it generated itself`,
    served.chain,
    such("CN=localhost@…, CN=localhost-ca@…", ([leaf = "", ca = ""]) =>
      [leaf.startsWith("CN=localhost@"), ca.startsWith("CN=localhost-ca@")].every(Boolean),
    ),
  );
  bench.claim(`${who}: signed by that authority`, served.issuer, startsWith("CN=localhost-ca@"));
  bench.claim(
    `${who}: valid for loopback`,
    served.sans,
    such("includes IP:127.0.0.1", (sans) => sans.includes("IP:127.0.0.1")),
  );
  const outside = await bench.nodes.run(machine, `timeout 3 bash -c 'exec 3<>/dev/tcp/${address}/${port}' 2>&1`);
  bench.claim(
    `${who}: nothing listens on the machine's own address`,
    outside.stdout.trim(),
    contains("Connection refused"),
  );
}

/** Which key opens which door: each authority is trusted for one purpose. */
async function doors(bench: Bench, worker: string): Promise<void> {
  const { api, nodes } = bench;
  const controller = nodes.controllers[0]!;
  const pki = "/etc/kubernetes/pki";
  /** HTTP status of a request made on the controller; 000 if the TLS handshake failed. */
  const status = async (url: string, ca: string, pair?: string): Promise<string> => {
    const client = pair ? `--cert ${pair}.pem --key ${pair}-key.pem` : "";
    return (await nodes.run(controller, `curl -s -m 5 -o /dev/null -w '%{http_code}' --cacert ${ca} ${client} ${url}`))
      .stdout;
  };
  const kubernetesCa = authorities["kubernetes-ca"];
  const etcdCa = authorities["etcd-ca"];

  await bench.observe("which certificate opens what", async () => {
    bench.claim(
      "the API's health is open to everyone",
      await status("https://127.0.0.1:6443/livez", kubernetesCa),
      "200",
    );
    bench.claim(
      "its objects are not: 401 without a certificate",
      await status("https://127.0.0.1:6443/api/v1/nodes", kubernetesCa),
      "401",
    );
    bench.claim(
      "a certificate from the etcd authority means nothing to it",
      await status("https://127.0.0.1:6443/api/v1/nodes", kubernetesCa, "/etc/etcd/etcd"),
      "401",
    );
    bench.claim(
      "etcd ends the handshake with a client that has no certificate",
      await status("https://127.0.0.1:2379/version", etcdCa),
      "000",
    );
    bench.claim(
      "and with one whose certificate is from the Kubernetes authority",
      await status("https://127.0.0.1:2379/version", etcdCa, `${pki}/apiserver-kubelet-client`),
      "000",
    );
    bench.claim(
      "etcd's peer port also ends the handshake without a certificate",
      await status("https://127.0.0.1:2380/members", etcdCa),
      "000",
    );
    bench.claim(
      "etcd accepts the API server's own etcd client certificate",
      await status("https://127.0.0.1:2379/version", etcdCa, `${pki}/apiserver-etcd-client`),
      "200",
    );
    bench.claim("a kubelet refuses strangers", await status(`https://${worker}:10250/pods`, kubernetesCa), "401");
    bench.claim(
      "and accepts the API server",
      await status(`https://${worker}:10250/pods`, kubernetesCa, `${pki}/apiserver-kubelet-client`),
      "200",
    );
  });

  const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const who = checked(
    await api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", { body: review }),
  ) as {
    status: { userInfo: { username: string; groups: string[] } };
  };
  bench.keep("who the kubeconfig is", who.status.userInfo);
  bench.claim(
    "a certificate's organization is a group",
    who.status.userInfo.groups,
    such("includes system:authenticated", (groups) => groups.includes("system:authenticated")),
  );
  bench.claim("its common name is the user", who.status.userInfo.username, contains("admin"));
}

const daysLeft = (served: Served): number => Math.floor((Date.parse(served.validTo) - Date.now()) / 86_400_000);
const summary = ({ subject, issuer, chain, sans, usages, validTo }: Handshake) => ({
  subject,
  issuer,
  chain,
  sans,
  usages,
  validTo,
});
/** Whether a certificate covers this name; a wildcard stands for one whole label. RFC 6125, section 6.4.3 */
function covers(sans: readonly string[], san: string): boolean {
  return sans.includes(san) || sans.includes(san.replace(/^DNS:[^.]+\./, "DNS:*."));
}
/** A host as written in a certificate. */
const san = (host: string): string => `${isIP(host) ? "IP" : "DNS"}:${host}`;

export default {
  name: "certificates",
  title: "Certificates: who trusts whom",
  part: "I–III · The cluster by hand",
  hypothesis:
    "There are three authorities, each trusted for one purpose. A server is accepted under the names in its certificate, a client is whoever its certificate says it is, and a key from one authority opens none of another's doors. Checked against what is served, not what is on disk.",
  needs: ["nodes"],
  experiment,
} satisfies Lab;

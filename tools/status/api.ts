/** Requests to an API server, verified by the CA of the kubeconfig. */
import { get } from "node:https";
import type { TLSSocket } from "node:tls";
import type { V1Deployment, V1Lease, V1Node } from "@kubernetes/client-node";
import { parse } from "yaml";
import type { ApiServer, Dns, NodeStatus } from "./facts";

/** The administrator's identity, and the CA that API servers are verified by; PEM texts. */
export interface Credentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** An API server to ask. */
export interface Server {
  readonly url: string;
  /** A name that its certificate has to contain; otherwise the host of the URL. */
  readonly name?: string;
  readonly credentials: Credentials;
}

interface Response {
  readonly status: number;
  readonly body: string;
  /** The server's time. */
  readonly date: Date;
  /** When the certificate that the server presented expires. */
  readonly certificateExpiry: Date;
}

/** Reads a kubeconfig as the program writes it: one cluster, one user, everything embedded. */
export function readCredentials(kubeconfig: string): Credentials {
  type Entry = Readonly<Record<string, Readonly<Record<string, string>>>>;
  const { clusters, users } = parse(kubeconfig) as { clusters: Entry[]; users: Entry[] };
  const decode = (text = ""): string => Buffer.from(text, "base64").toString();
  return {
    ca: decode(clusters[0]?.["cluster"]?.["certificate-authority-data"]),
    cert: decode(users[0]?.["user"]?.["client-certificate-data"]),
    key: decode(users[0]?.["user"]?.["client-key-data"]),
  };
}

/** Whether an API server is ready, with its version and certificate. */
export async function askApiServer(server: Server, signal: AbortSignal): Promise<ApiServer> {
  const [readyz, version] = await Promise.all([
    request(server, "/readyz", signal),
    request(server, "/version", signal),
  ]);
  const { certificateExpiry } = readyz;
  const { gitVersion = "" } = version.status === 200 ? (JSON.parse(version.body) as { gitVersion?: string }) : {};
  return { failing: failingChecks(readyz), version: gitVersion, certificateExpiry };
}

/** The checks that /readyz reports as failed, in lines such as "[-]etcd failed: reason withheld". */
function failingChecks({ status, body }: Response): string[] {
  if (status === 200) return [];
  const failed = [...body.matchAll(/^\[-\](\S+)/gm)].map(([, check = ""]) => check);
  return failed.length ? failed : [`HTTP ${status}`];
}

/** A list as JSON has it, in which times are texts. */
interface List<T> {
  readonly items: readonly T[];
}

/** The nodes, and the leases that their kubelets renew every ten seconds. */
export async function askNodes(server: Server, signal: AbortSignal): Promise<NodeStatus[]> {
  const [nodes, leases] = await Promise.all([
    request(server, "/api/v1/nodes", signal),
    request(server, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", signal),
  ]);
  return readNodes(json<List<V1Node>>(nodes), json<List<V1Lease>>(leases), leases.date);
}

/** Seconds for which a kubelet may be silent. The control plane takes 50 s to call its node NotReady. */
const kubeletPatience = 20;

/** @param now the time of the API server, to which the machines' clocks are close. Pure. */
export function readNodes(nodes: List<V1Node>, leases: List<V1Lease>, now: Date): NodeStatus[] {
  const renewed = new Map(leases.items.map(({ metadata, spec }) => [metadata?.name, spec?.renewTime]));
  return nodes.items.map(({ metadata, status }) => {
    const name = metadata?.name ?? "";
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    const silence = Math.round((now.getTime() - new Date(renewed.get(name) ?? now).getTime()) / 1000);
    const isSilent = silence > kubeletPatience;
    return {
      name,
      isReady: ready?.status === "True" && !isSilent,
      message: isSilent
        ? `its kubelet has been silent for ${silence} s`
        : (ready?.message ?? "its kubelet has reported nothing yet"),
      version: status?.nodeInfo?.kubeletVersion ?? "",
    };
  });
}

export async function askDns(server: Server, signal: AbortSignal): Promise<Dns> {
  const path = "/apis/apps/v1/namespaces/kube-system/deployments/coredns";
  const { spec, status } = json<V1Deployment>(await request(server, path, signal));
  return {
    isAvailable: status?.conditions?.some((each) => each.type === "Available" && each.status === "True") ?? false,
    replicas: spec?.replicas ?? 0,
    available: status?.availableReplicas ?? 0,
  };
}

/** @throws Error if the request was refused. */
function json<T>({ status, body }: Response): T {
  if (status !== 200) throw new Error(`HTTP ${status}`);
  return JSON.parse(body) as T;
}

function request({ url, name, credentials }: Server, path: string, signal: AbortSignal): Promise<Response> {
  // a connection per request: a resumed session would not present the certificate
  const options = { ...credentials, ...(name === undefined ? {} : { servername: name }), agent: false, signal };
  return new Promise((resolve, reject) => {
    get(new URL(path, url), options, (response) => {
      const certificateExpiry = new Date((response.socket as TLSSocket).getPeerCertificate().valid_to);
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => {
        const { statusCode: status = 0, headers } = response;
        const date = headers.date === undefined ? new Date() : new Date(headers.date);
        resolve({ status, body: Buffer.concat(parts).toString(), date, certificateExpiry });
      });
      response.on("error", reject);
    }).on("error", reject);
  });
}

/** Requests to an API server, verified by the CA of the kubeconfig. */
import { get } from "node:https";
import type { TLSSocket } from "node:tls";
import type { V1Deployment, V1Node } from "@kubernetes/client-node";
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

export async function askNodes(server: Server, signal: AbortSignal): Promise<NodeStatus[]> {
  const { items } = await json<{ items: V1Node[] }>(server, "/api/v1/nodes", signal);
  return items.map(({ metadata, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    return {
      name: metadata?.name ?? "",
      isReady: ready?.status === "True",
      message: ready?.message ?? "its kubelet has reported nothing yet",
      version: status?.nodeInfo?.kubeletVersion ?? "",
    };
  });
}

export async function askDns(server: Server, signal: AbortSignal): Promise<Dns> {
  const { spec, status } = await json<V1Deployment>(
    server,
    "/apis/apps/v1/namespaces/kube-system/deployments/coredns",
    signal,
  );
  return {
    isAvailable: status?.conditions?.some((each) => each.type === "Available" && each.status === "True") ?? false,
    replicas: spec?.replicas ?? 0,
    available: status?.availableReplicas ?? 0,
  };
}

async function json<T>(server: Server, path: string, signal: AbortSignal): Promise<T> {
  const { status, body } = await request(server, path, signal);
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
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString(), certificateExpiry }),
      );
      response.on("error", reject);
    }).on("error", reject);
  });
}

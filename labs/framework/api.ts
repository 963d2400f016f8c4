/**
 * The Kubernetes API as a lab uses it: plain JSON in and out, every status code visible. The kubeconfig is read by the
 * official client; requests are kept this thin because the labs are about what goes over the wire.
 */
import https from "node:https";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { Exec, KubeConfig, type V1Status } from "@kubernetes/client-node";
import { type Kind, kinds, type Manifest, pathOf, type Stored } from "./kinds";

/** A request that the API server refused. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    /** HTTP status, such as 403. */
    readonly status: number,
    /** Reason from the Status object, such as AlreadyExists; empty if the server sent none. */
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** The body, if it is JSON. */
  readonly json: unknown;
}

export interface Where {
  readonly namespace?: string;
  /** Label selector. */
  readonly labels?: string;
  /** Field selector. */
  readonly fields?: string;
}

export interface WriteOptions {
  readonly fieldManager?: string;
  /** Server-side apply: take over fields that another manager owns. */
  readonly force?: boolean;
  /** Have the server run admission and validation, but store nothing. */
  readonly dryRun?: boolean;
  readonly subresource?: string;
}

export interface WatchEvent<K extends Kind> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: Stored<K>;
}

/** Field manager of everything that the labs apply. */
export const manager = "labs";
type Query = Readonly<Record<string, string | undefined>>;

export class Api {
  private readonly agent = new https.Agent({ keepAlive: true, maxSockets: 32 });
  readonly server: URL;

  constructor(readonly config: KubeConfig) {
    this.server = new URL(config.getCurrentCluster()!.server);
  }

  /** @throws Error if the file is missing or does not name a cluster. */
  static fromFile(path: string): Api {
    const config = new KubeConfig();
    config.loadFromFile(path);
    if (!config.getCurrentCluster()) throw new Error(`${path} has no current context with a cluster`);
    return new Api(config);
  }

  /** The same API server, with a bearer token instead of the kubeconfig's own identity. The caller closes it. */
  withToken(token: string): Api {
    const config = new KubeConfig();
    config.loadFromClusterAndUser(this.config.getCurrentCluster()!, { name: "token", token });
    return new Api(config);
  }

  close(): void {
    this.agent.destroy();
  }

  /** Sends one request. Responses of any status are returned; only a failed connection throws. */
  async request(
    method: string,
    path: string,
    options: { query?: Query; body?: unknown; contentType?: string; timeoutSeconds?: number } = {},
  ): Promise<Answer> {
    const signal = AbortSignal.timeout((options.timeoutSeconds ?? 15) * 1000);
    const response = await this.open(method, path, { ...options, signal });
    let text = "";
    response.setEncoding("utf8");
    for await (const chunk of response) text += chunk as string;
    let json: unknown;
    if (response.headers["content-type"]?.includes("json")) json = JSON.parse(text);
    return { status: response.statusCode ?? 0, text, json };
  }

  /** The response body in another encoding, such as application/vnd.kubernetes.protobuf. @throws ApiError */
  async bytes(path: string, accept: string): Promise<Buffer> {
    const response = await this.open("GET", path, { accept, signal: AbortSignal.timeout(15_000) });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    if (response.statusCode !== 200)
      throw new ApiError(response.statusCode ?? 0, "", body.toString("utf8").slice(0, 300));
    return body;
  }

  /** The object, or undefined if it does not exist. */
  async find<K extends Kind>(kind: K, name: string, namespace?: string): Promise<Stored<K> | undefined> {
    const answer = await this.request("GET", pathOf(kind, namespace, name));
    return answer.status === 404 ? undefined : (checked(answer) as Stored<K>);
  }

  /** @throws ApiError 404 if the object does not exist. */
  async get<K extends Kind>(kind: K, name: string, namespace?: string): Promise<Stored<K>> {
    return checked(await this.request("GET", pathOf(kind, namespace, name))) as Stored<K>;
  }

  async list<K extends Kind>(kind: K, where: Where = {}): Promise<Stored<K>[]> {
    return (await this.listAt(kind, where)).items;
  }

  /** Items, and the resource version from which a watch can continue. */
  async listAt<K extends Kind>(kind: K, where: Where): Promise<{ items: Stored<K>[]; resourceVersion: string }> {
    const answer = await this.request("GET", pathOf(kind, where.namespace), { query: selectors(where) });
    const list = checked(answer) as { items: Stored<K>[]; metadata: { resourceVersion: string } };
    return { items: list.items ?? [], resourceVersion: list.metadata.resourceVersion };
  }

  async create<K extends Kind>(object: Manifest, options: WriteOptions = {}): Promise<Stored<K>> {
    const path = pathOf(
      object.kind as K,
      object.metadata.namespace,
      options.subresource && object.metadata.name,
      options.subresource,
    );
    return checked(await this.request("POST", path, { query: writeQuery(options), body: object })) as Stored<K>;
  }

  /** PUT of the whole object; with metadata.resourceVersion, only if nobody has written in between. */
  async replace<K extends Kind>(object: Manifest, options: WriteOptions = {}): Promise<Stored<K>> {
    const path = pathOf(object.kind as K, object.metadata.namespace, object.metadata.name, options.subresource);
    return checked(await this.request("PUT", path, { query: writeQuery(options), body: object })) as Stored<K>;
  }

  /** Server-side apply. https://kubernetes.io/docs/reference/using-api/server-side-apply/ */
  async apply<K extends Kind>(object: Manifest, options: WriteOptions = {}): Promise<Stored<K>> {
    const path = pathOf(object.kind as K, object.metadata.namespace, object.metadata.name, options.subresource);
    const query = { ...writeQuery({ fieldManager: manager, ...options }), force: String(options.force ?? false) };
    const contentType = "application/apply-patch+yaml";
    return checked(await this.request("PATCH", path, { query, body: object, contentType })) as Stored<K>;
  }

  /** JSON merge patch (RFC 7386): null removes a field. */
  async patch<K extends Kind>(
    kind: K,
    name: string,
    namespace: string | undefined,
    body: object,
    options: WriteOptions = {},
  ): Promise<Stored<K>> {
    const path = pathOf(kind, namespace, name, options.subresource);
    const contentType = "application/merge-patch+json";
    return checked(await this.request("PATCH", path, { query: writeQuery(options), body, contentType })) as Stored<K>;
  }

  /** @returns false if there was nothing to delete. */
  async delete(
    kind: Kind,
    name: string,
    namespace?: string,
    options: { propagation?: "Background" | "Foreground" | "Orphan"; graceSeconds?: number } = {},
  ): Promise<boolean> {
    const body = {
      ...(options.propagation ? { propagationPolicy: options.propagation } : {}),
      ...(options.graceSeconds === undefined ? {} : { gracePeriodSeconds: options.graceSeconds }),
    };
    const answer = await this.request("DELETE", pathOf(kind, namespace, name), { body });
    if (answer.status === 404) return false;
    checked(answer);
    return true;
  }

  async logs(pod: string, namespace: string, container?: string): Promise<string> {
    const answer = await this.request("GET", pathOf("Pod", namespace, pod, "log"), { query: { container } });
    checked(answer);
    return answer.text;
  }

  /**
   * Watches a collection, starting from a resource version. Resolves when the server or the signal ends the stream.
   * @throws ApiError 410 if the version is too old: list again.
   */
  async watch<K extends Kind>(
    kind: K,
    where: Where & { resourceVersion: string },
    onEvent: (event: WatchEvent<K>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const query = { ...selectors(where), watch: "true", resourceVersion: where.resourceVersion };
    const response = await this.open("GET", pathOf(kind, where.namespace), { query, signal });
    if (response.statusCode !== 200) throw new ApiError(response.statusCode ?? 0, "", `watching ${kind} was refused`);
    const lines = createInterface({ input: response });
    // The iteration rejects on an error by itself; one that arrives after its end, such as of a stopped watch, is of no interest.
    lines.on("error", () => undefined);
    for await (const line of lines) {
      const event = JSON.parse(line) as WatchEvent<K> | { type: "ERROR"; object: V1Status };
      if (event.type === "ERROR")
        throw new ApiError(event.object.code ?? 0, event.object.reason ?? "", event.object.message ?? "");
      onEvent(event);
    }
  }

  /** Runs a command in a container. A non-zero exit code is a result, not an error. */
  async exec(
    pod: string,
    namespace: string,
    command: readonly string[],
    options: { container?: string; timeoutSeconds?: number } = {},
  ): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const out = collector();
    const err = collector();
    const container = options.container ?? (await this.get("Pod", pod, namespace)).spec.containers[0]!.name;
    const status = await new Promise<V1Status>((resolve, reject) => {
      const seconds = options.timeoutSeconds ?? 20;
      const timer = setTimeout(
        () =>
          reject(
            new Error(
              `"${command.join(" ")}" in pod ${pod} timed out after ${seconds} s; output so far: ${out.text()}`,
            ),
          ),
        seconds * 1000,
      );
      new Exec(this.config)
        .exec(namespace, pod, container, [...command], out.stream, err.stream, null, false, (s) => {
          clearTimeout(timer);
          resolve(s);
        })
        .then(
          (socket) => socket.on("error", reject),
          (error: unknown) =>
            reject(error instanceof Error ? error : new Error(String((error as { message?: string }).message))),
        );
    });
    const cause = status.details?.causes?.find((c) => c.reason === "ExitCode")?.message;
    return { exitCode: status.status === "Success" ? 0 : Number(cause ?? -1), stdout: out.text(), stderr: err.text() };
  }

  private async open(
    method: string,
    path: string,
    options: { query?: Query; body?: unknown; contentType?: string; accept?: string; signal?: AbortSignal },
  ) {
    const request: https.RequestOptions = {
      method,
      agent: this.agent,
      host: this.server.hostname,
      port: this.server.port || 443,
      path: path + queryString(options.query ?? {}),
      headers: { accept: options.accept ?? "application/json", "user-agent": manager },
      ...(options.signal ? { signal: options.signal } : {}),
    };
    await this.config.applyToHTTPSOptions(request);
    request.agent = this.agent; // kept alive; the TLS material is in the request's own options
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    if (body !== undefined)
      request.headers = {
        ...(request.headers as object),
        "content-type": options.contentType ?? "application/json",
        "content-length": Buffer.byteLength(body), // Node does not send it with DELETE by default
      };
    return new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
      const sent = https.request(request, resolve);
      sent.on("error", (error) =>
        reject(new Error(`${method} ${this.server.host}${path}: ${error.message}`, { cause: error })),
      );
      sent.end(body);
    });
  }
}

/** The body of a 2xx response. @throws ApiError for any other status */
export function checked(answer: Answer): unknown {
  if (answer.status >= 200 && answer.status < 300) return answer.json;
  const status = (answer.json ?? {}) as V1Status;
  throw new ApiError(answer.status, status.reason ?? "", status.message ?? answer.text.slice(0, 300));
}

/** Runs a request that is expected to be refused. @returns the refusal, or undefined if it was accepted. */
export async function refusal(request: Promise<unknown>): Promise<ApiError | undefined> {
  try {
    await request;
    return undefined;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

/** Whether this is a kind that the labs handle. */
export const isKind = (kind: string): kind is Kind => kind in kinds;

function collector(): { stream: PassThrough; text: () => string } {
  const stream = new PassThrough();
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return { stream, text: () => Buffer.concat(chunks).toString("utf8") };
}

const selectors = (where: Where): Query => ({ labelSelector: where.labels, fieldSelector: where.fields });
const writeQuery = (options: WriteOptions): Query => ({
  fieldManager: options.fieldManager,
  dryRun: options.dryRun ? "All" : undefined,
});

function queryString(query: Query): string {
  const entries = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return entries.length ? `?${new URLSearchParams(entries).toString()}` : "";
}

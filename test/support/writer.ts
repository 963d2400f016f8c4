/** A client that keeps writing and reading through the API endpoint, and then checks every acknowledged write. */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { parse } from "yaml";

/** What the client saw between `start` and `stop`. */
export interface WriterReport {
  /** Writes that the API server acknowledged (201). */
  readonly acknowledged: number;
  /** Acknowledged writes that a later read did not find. */
  readonly lost: readonly string[];
  /** Failed attempts: refused, timed out, or 5xx. A normal client retries them. */
  readonly failedAttempts: number;
  /** Requests that still failed after `patience` seconds of retries. */
  readonly givenUp: number;
  /** Longest time between two successes, in seconds. */
  readonly longestGap: number;
  /** The distinct errors that attempts met. */
  readonly faults: readonly string[];
}

interface Credentials {
  readonly server: URL;
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

function credentials(kubeconfig: string): Credentials {
  const config = parse(readFileSync(kubeconfig, "utf8")) as {
    clusters: { cluster: Record<string, string> }[];
    users: { user: Record<string, string> }[];
  };
  const decode = (text: string | undefined): Buffer => Buffer.from(text ?? "", "base64");
  const cluster = config.clusters[0]?.cluster ?? {};
  const user = config.users[0]?.user ?? {};
  return {
    server: new URL(cluster["server"] ?? ""),
    ca: decode(cluster["certificate-authority-data"]),
    cert: decode(user["client-certificate-data"]),
    key: decode(user["client-key-data"]),
  };
}

export class Writer {
  private readonly credentials: Credentials;
  private readonly agent: Agent;
  private running = false;
  private loop: Promise<void> = Promise.resolve();
  private readonly acknowledged: string[] = [];
  private failedAttempts = 0;
  private givenUp = 0;
  private longestGap = 0;
  private lastSuccess = 0;
  private readonly faults = new Set<string>();
  private readonly run = Date.now().toString(36);

  /**
   * @param kubeconfig path of an administrator's kubeconfig with embedded certificates.
   * @param namespace an existing namespace for what is written.
   * @param patience seconds for which a request is retried before it counts as given up.
   * @param resource what is written.
   */
  constructor(
    kubeconfig: string,
    private readonly namespace: string,
    private readonly patience = 30,
    private readonly resource: "configmaps" | "secrets" = "configmaps",
  ) {
    this.credentials = credentials(kubeconfig);
    const { ca, cert, key } = this.credentials;
    this.agent = new Agent({ ca, cert, key, keepAlive: true, maxSockets: 1 });
  }

  start(): void {
    this.running = true;
    this.lastSuccess = Date.now();
    this.loop = this.work();
  }

  /** Successful writes so far. */
  get count(): number {
    return this.acknowledged.length;
  }

  /** Stops writing, reads everything back and reports. */
  async stop(): Promise<WriterReport> {
    this.running = false;
    await this.loop;
    const present = new Set(await this.list());
    this.agent.destroy();
    return {
      acknowledged: this.acknowledged.length,
      lost: this.acknowledged.filter((name) => !present.has(name)),
      failedAttempts: this.failedAttempts,
      givenUp: this.givenUp,
      longestGap: this.longestGap / 1000,
      faults: [...this.faults],
    };
  }

  private async work(): Promise<void> {
    for (let n = 0; this.running; n++) {
      const name = `write-${this.run}-${n}`;
      if (await this.persist("POST", "", JSON.stringify({ metadata: { name }, data: { n: btoa(String(n)) } })))
        this.acknowledged.push(name);
      await this.persist("GET", `/${name}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Retries a request until it succeeds. If a write already exists, an earlier attempt made it. */
  private async persist(method: string, path: string, body?: string): Promise<boolean> {
    const end = Date.now() + this.patience * 1000;
    do {
      const answer = await this.attempt(method, path, body);
      if (
        answer.status === 200 ||
        answer.status === 201 ||
        answer.status === 409 ||
        (method === "GET" && answer.status === 404)
      ) {
        const now = Date.now();
        this.longestGap = Math.max(this.longestGap, now - this.lastSuccess);
        this.lastSuccess = now;
        return answer.status !== 404;
      }
      this.failedAttempts++;
      this.faults.add(answer.fault);
      await new Promise((resolve) => setTimeout(resolve, 200));
    } while (Date.now() < end && this.running);
    if (Date.now() >= end) this.givenUp++;
    return false;
  }

  private async list(): Promise<string[]> {
    const end = Date.now() + 150_000;
    while (Date.now() < end) {
      const answer = await this.attempt("GET", "?resourceVersion=", undefined, 10_000);
      if (answer.status === 200)
        return (JSON.parse(answer.body) as { items: { metadata: { name: string } }[] }).items.map(
          (item) => item.metadata.name,
        );
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new Error("the API could not list the writes after the client had stopped");
  }

  private attempt(
    method: string,
    path: string,
    body?: string,
    timeout = 3000,
  ): Promise<{ status: number; body: string; fault: string }> {
    return new Promise((resolve) => {
      const call = request(
        new URL(`/api/v1/namespaces/${this.namespace}/${this.resource}${path}`, this.credentials.server),
        { method, agent: this.agent, timeout, headers: body ? { "content-type": "application/json" } : {} },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => (text += chunk));
          const status = response.statusCode ?? 0;
          response.on("end", () => resolve({ status, body: text, fault: `HTTP ${status}` }));
          response.on("error", (error) => resolve({ status: 0, body: "", fault: error.message }));
        },
      );
      call.on("timeout", () => call.destroy(new Error("timeout")));
      call.on("error", (error: NodeJS.ErrnoException) =>
        resolve({ status: 0, body: "", fault: error.code ?? error.message }),
      );
      call.end(body);
    });
  }
}

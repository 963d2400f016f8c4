/** The bench that a lab works on: its phases, its claims, and everything it may touch, with a way to undo it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Where, WriteOptions } from "./api";
import type { Cluster } from "./cluster";
import { type Result, tryRun } from "../../lib/run";
import type { Etcd } from "./etcd";
import { type Claim, judge, type Prediction } from "./expectation";
import type { Journal } from "./journal";
import type { Kind, Manifest, Stored } from "./kinds";
import { Live } from "./live";
import { adopt, readManifests } from "./manifests";
import type { Nodes } from "./nodes";
import type { Progress } from "./progress";
import type { Phase, Timeline } from "./timeline";
import { undoNewest } from "./sweep";
import { until } from "./wait";

export class Bench {
  readonly claims: Claim[] = [];
  readonly evidence: Record<string, unknown> = {};
  private readonly watches: { catchUp(): Promise<void> }[] = [];

  constructor(
    /** Name of the lab. */
    private readonly lab: string,
    readonly cluster: Cluster,
    readonly timeline: Timeline,
    private readonly journal: Journal,
    private readonly progress: Progress,
    /** Aborted when the lab is interrupted or runs out of time. */
    readonly signal: AbortSignal,
  ) {}

  get api() {
    return this.cluster.api;
  }
  /** The lab's own namespace. */
  get namespace(): string {
    return `lab-${this.lab}`;
  }
  /** The machines. Only for labs that declare `needs: ["nodes"]`. */
  get nodes(): Nodes {
    return this.cluster.nodes!;
  }
  /** Only for labs that declare `needs: ["nodes"]`. */
  get etcd(): Etcd {
    return this.cluster.etcd!;
  }

  // The phases, in the order of the report. Each title says what is done or observed.

  /** How things are before anything is disturbed. */
  baseline<T>(title: string, run: () => Promise<T>): Promise<T> {
    return this.step("baseline", title, run);
  }
  /** The one thing that is changed. */
  disturb<T>(title: string, run: () => Promise<T>): Promise<T> {
    return this.step("disturb", title, run);
  }
  /** How the cluster responds. */
  observe<T>(title: string, run: () => Promise<T>): Promise<T> {
    return this.step("observe", title, run);
  }

  /** Judges a claim of the article by its predicted and observed value. The lab goes on even if it does not hold. */
  claim<T>(text: string, observed: T, predicted: NoInfer<Prediction<T>>): boolean {
    const claim = judge(text, observed, predicted);
    this.claims.push(claim);
    this.progress.claim(claim);
    return claim.holds;
  }

  /** Adds a value to the report as evidence. */
  keep(name: string, value: unknown): void {
    this.evidence[name] = value;
  }

  // Objects.

  /** Creates another namespace of this lab, lab-<name>-<suffix>. Once this resolves, pods can be created in it. */
  async makeNamespace(suffix = "", labels: Readonly<Record<string, string>> = {}): Promise<string> {
    const name = suffix ? `${this.namespace}-${suffix}` : this.namespace;
    await this.api.apply(
      adopt({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels: { ...labels } } }, this.lab, ""),
    );
    await this.until(
      `the default service account of namespace ${name}`,
      () => this.api.find("ServiceAccount", "default", name),
      (account) => account !== undefined,
      15,
    );
    return name;
  }

  /** The objects of a manifest file, in this lab's namespace. */
  manifests(file: string): Manifest[] {
    return readManifests(this.lab, file).map((object) => adopt(object, this.lab, this.namespace));
  }

  /** Applies a manifest file. `change` may alter each object first. */
  async apply(file: string, change: (object: Manifest) => void = () => undefined): Promise<Stored<Kind>[]> {
    const stored: Stored<Kind>[] = [];
    for (const object of this.manifests(file)) {
      change(object);
      stored.push(await this.api.apply(object));
    }
    return stored;
  }

  /** Creates one object in this lab's namespace, as `kubectl create` does. */
  create<K extends Kind>(object: Manifest, options?: WriteOptions): Promise<Stored<K>> {
    return this.api.create<K>(adopt(object, this.lab, this.namespace), options);
  }

  /** Watches a kind in the lab's namespace (or `where`) from now on; every change goes on the timeline. */
  async watch<K extends Kind>(kind: K, where: Where = {}): Promise<Live<K>> {
    const live = await Live.start(this.api, kind, { namespace: this.namespace, ...where }, this.timeline, this.signal);
    this.watches.push(live);
    return live;
  }

  /** Polls until the value is as wanted, for at most `within` seconds. @throws WaitError */
  until<T>(what: string, look: () => Promise<T>, wanted: (value: T) => boolean, within: number): Promise<T> {
    return until(what, look, wanted, { within, signal: this.signal });
  }

  /** Lets time pass, for claims that nothing happens in the meantime. @throws the reason if the lab is interrupted. */
  async pause(seconds: number): Promise<void> {
    await sleep(seconds * 1000, undefined, { signal: this.signal }).catch(() => this.signal.throwIfAborted());
  }

  /** Standard output of a command in a pod of the lab. @throws Error if it exits non-zero. */
  async exec(pod: string, ...command: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.api.exec(pod, this.namespace, command);
    if (exitCode !== 0)
      throw new Error(`"${command.join(" ")}" in pod ${pod} exited with ${exitCode}: ${stderr || stdout}`);
    return stdout;
  }

  /** Runs kubectl as a reader would, in the lab's namespace; undefined if this machine does not have it. */
  async kubectl(...args: readonly string[]): Promise<Result | undefined> {
    this.signal.throwIfAborted();
    if (!this.cluster.kubectl) return undefined;
    const { path, kubeconfig } = this.cluster.kubectl;
    const all = ["--kubeconfig", kubeconfig, "--namespace", this.namespace, ...args];
    return tryRun(path, all, { signal: this.signal, timeoutSeconds: 30 });
  }

  // Changes outside the namespace. How to undo each one is recorded first.

  /** Changes something on a machine as root. */
  async onNode(node: string, title: string, how: { change: string; undo: string }): Promise<void> {
    this.journal.add({ kind: "command", title, node, command: how.undo });
    await this.nodes.output(node, how.change, { timeoutSeconds: 60 });
  }

  /** Changes the stack's configuration and applies it (`pulumi up`); at the end the stack's own values are restored. */
  async setStack(title: string, config: Readonly<Record<string, unknown>>): Promise<void> {
    const back = Object.fromEntries(Object.keys(config).map((key) => [key, null]));
    this.journal.add({ kind: "stack", title, config: back });
    await this.cluster.stack!.set(config);
  }

  /** Undoes the newest of these changes now, for experiments that go on afterwards. */
  async takeBack(): Promise<void> {
    await undoNewest(this.cluster, this.journal);
  }

  private async step<T>(phase: Phase, title: string, run: () => Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    const value = await this.progress.step(phase, title, () => this.timeline.step(phase, title, run));
    // The claims that follow must read the current state. If the API is down, that is part of the experiment.
    await Promise.allSettled(this.watches.map((watch) => watch.catchUp()));
    return value;
  }
}

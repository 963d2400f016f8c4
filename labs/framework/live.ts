/** A live collection: lists once, then watches and remembers every change, so waits need no polling. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Api, ApiError, type Where } from "./api";
import type { Kind, Stored } from "./kinds";
import { stateOf } from "./states";
import { gone, type Timeline } from "./timeline";
import { WaitError } from "./wait";

/** One change of one object, and the collection as it was right after it. */
export interface Moment<K extends Kind> {
  /** Seconds since the lab began. */
  readonly at: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: Stored<K>;
  readonly items: readonly Stored<K>[];
}

export class Live<K extends Kind> {
  private readonly byUid = new Map<string, Stored<K>>();
  /** Newest resource version seen of each object, deleted ones included; versions are ordered since Kubernetes 1.35. */
  private readonly versions = new Map<string, bigint>();
  private readonly listeners = new Set<() => void>();
  /** Every change since the watch began, in order. */
  readonly history: Moment<K>[] = [];

  private constructor(
    private readonly api: Api,
    readonly kind: K,
    private readonly where: Where,
    private readonly timeline: Timeline,
    private readonly signal: AbortSignal,
  ) {}

  /** Starts watching; once this resolves, the existing objects have been read. */
  static async start<K extends Kind>(
    api: Api,
    kind: K,
    where: Where,
    timeline: Timeline,
    signal: AbortSignal,
  ): Promise<Live<K>> {
    const live = new Live(api, kind, where, timeline, signal);
    const resourceVersion = await live.relist();
    void live.follow(resourceVersion);
    return live;
  }

  /** The objects as last seen, by name. */
  get items(): readonly Stored<K>[] {
    return [...this.byUid.values()].sort((a, b) =>
      a.metadata.name.localeCompare(b.metadata.name, "en", { numeric: true }),
    );
  }

  /** The object of this name as last seen. */
  named(name: string): Stored<K> | undefined {
    return this.items.find((item) => item.metadata.name === name);
  }

  /**
   * @returns the objects once they are as wanted. Everything that was written before the call is taken into account.
   * @throws WaitError after `within` seconds, with what was last seen.
   */
  async until(
    what: string,
    wanted: (items: readonly Stored<K>[]) => boolean,
    within: number,
  ): Promise<readonly Stored<K>[]> {
    await this.catchUp();
    return this.next(what, () => wanted(this.items), within);
  }

  /** Waits until the watch has delivered everything that was written before this call. */
  async catchUp(): Promise<void> {
    const written = await this.api.listAt(this.kind, this.where);
    await this.next("the watch to catch up with the API", () => this.covers(written), 20);
  }

  private async next(what: string, wanted: () => boolean, within: number): Promise<readonly Stored<K>[]> {
    this.signal.throwIfAborted();
    if (wanted()) return this.items;
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        this.listeners.delete(check);
        this.signal.removeEventListener("abort", abort);
        settle();
      };
      const check = (): void => {
        if (wanted()) end(() => resolve(this.items));
      };
      const abort = (): void => end(() => reject(this.signal.reason as Error));
      const timer = setTimeout(() => end(() => reject(new WaitError(what, within, this.describe()))), within * 1000);
      this.listeners.add(check);
      this.signal.addEventListener("abort", abort);
    });
  }

  /** Objects and their states in one line. */
  describe(): string {
    if (!this.byUid.size) return `no ${this.kind}`;
    return this.items.map((item) => `${item.metadata.name} ${stateOf(this.kind, item)}`).join(", ");
  }

  /** Whether the watch has delivered everything in this list, deletions included. */
  private covers(list: { items: readonly Stored<K>[]; resourceVersion: string }): boolean {
    const present = new Set(list.items.map((item) => item.metadata.uid));
    const delivered = list.items.every(({ metadata }) => {
      const seen = this.versions.get(metadata.uid);
      return seen !== undefined && seen >= BigInt(metadata.resourceVersion);
    });
    const at = BigInt(list.resourceVersion);
    return (
      delivered &&
      this.items.every(({ metadata }) => present.has(metadata.uid) || BigInt(metadata.resourceVersion) > at)
    );
  }

  private async relist(): Promise<string> {
    const { items, resourceVersion } = await this.api.listAt(this.kind, this.where);
    const present = new Set(items.map((item) => item.metadata.uid));
    for (const [uid, old] of this.byUid) if (!present.has(uid)) this.note("DELETED", old);
    for (const item of items) {
      const known = this.byUid.get(item.metadata.uid);
      if (known?.metadata.resourceVersion !== item.metadata.resourceVersion)
        this.note(known ? "MODIFIED" : "ADDED", item);
    }
    return resourceVersion;
  }

  private note(type: Moment<K>["type"], object: Stored<K>): void {
    this.versions.set(object.metadata.uid, BigInt(object.metadata.resourceVersion));
    if (type === "DELETED") this.byUid.delete(object.metadata.uid);
    else this.byUid.set(object.metadata.uid, object);
    const state = type === "DELETED" ? gone : stateOf(this.kind, object);
    this.timeline.change(`${this.kind} ${object.metadata.name}`, state);
    this.history.push({ at: this.timeline.now(), type, object, items: this.items });
    for (const listener of [...this.listeners]) listener();
  }

  /** Follows the stream until the lab ends; a stream that breaks (because an API server restarts, say) is resumed. */
  private async follow(from: string): Promise<void> {
    let version: string | undefined = from;
    while (!this.signal.aborted) {
      try {
        version ??= await this.relist();
        await this.api.watch<K>(
          this.kind,
          { ...this.where, resourceVersion: version },
          ({ type, object }) => {
            version = object.metadata.resourceVersion;
            this.note(type, object);
          },
          this.signal,
        );
      } catch (error) {
        if (this.signal.aborted) return;
        if (error instanceof ApiError) version = undefined;
        await sleep(300);
      }
    }
  }
}

/** A run of a lab against an in-memory API: claims, undo, interruption, time limit and what is left behind. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Api } from "../../../labs/framework/api";
import type { Cluster } from "../../../labs/framework/cluster";
import { Journal } from "../../../labs/framework/journal";
import type { Manifest } from "../../../labs/framework/kinds";
import type { Lab } from "../../../labs/framework/lab";
import { labLabel } from "../../../labs/framework/manifests";
import { Progress } from "../../../labs/framework/progress";
import { changed, Interrupted, runLab } from "../../../labs/framework/runner";

type Stored = Manifest & { spec?: { taints?: { key: string; effect: string }[] }; status?: object };

/** An in-memory API with namespaces, nodes and priority classes. */
class FakeApi {
  readonly objects = new Map<string, Stored>();
  constructor() {
    void this.put({
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "worker-0", labels: { a: "b" } },
      spec: {},
      status: {},
    });
  }
  put(object: Stored): Promise<Stored> {
    this.objects.set(`${object.kind}/${object.metadata.name}`, object);
    return Promise.resolve(object);
  }
  apply = (object: Stored): Promise<Stored> => this.put(object);
  list(kind: string, where: { labels?: string } = {}): Promise<Stored[]> {
    const [key, value] = where.labels?.split("=") ?? [];
    const all = [...this.objects.values()].filter((object) => object.kind === kind);
    return Promise.resolve(all.filter((object) => !key || object.metadata.labels?.[key] === value));
  }
  find(kind: string, name: string): Promise<Stored | undefined> {
    return Promise.resolve(
      kind === "ServiceAccount"
        ? ({ kind, apiVersion: "v1", metadata: { name } } as Stored)
        : this.objects.get(`${kind}/${name}`),
    );
  }
  delete(kind: string, name: string): Promise<boolean> {
    return Promise.resolve(this.objects.delete(`${kind}/${name}`));
  }
  patch(
    kind: string,
    name: string,
    _namespace: undefined,
    body: { metadata?: { labels?: Record<string, string | null> } },
  ): Promise<Stored> {
    const object = structuredClone(this.objects.get(`${kind}/${name}`)!);
    for (const [key, value] of Object.entries(body.metadata?.labels ?? {})) {
      if (value === null) delete object.metadata.labels![key];
      else object.metadata.labels![key] = value;
    }
    return this.put(object);
  }
}

function bench() {
  const api = new FakeApi();
  const done: string[] = [];
  const lines: string[] = [];
  const nodes = {
    names: ["worker-0"],
    output: (node: string, command: string) => Promise.resolve(done.push(`${node}: ${command}`)),
  };
  const cluster = {
    name: "fake",
    api: api as unknown as Api,
    nodes,
    dir: mkdtempSync(join(tmpdir(), "kfs-labs-")),
  } as unknown as Cluster;
  const interrupt = new AbortController();
  const run = (experiment: Lab["experiment"], more: Partial<Lab> = {}) =>
    runLab(
      { name: "probe", title: "Probe", part: "0", hypothesis: "", experiment, ...more },
      cluster,
      new Progress(
        (line) => lines.push(line),
        () => undefined,
      ),
      interrupt.signal,
    );
  return { api, done, lines, cluster, interrupt, run };
}

const namespaces = (api: FakeApi): string[] => [...api.objects.keys()].filter((key) => key.startsWith("Namespace/"));

describe("a lab", () => {
  it("passes if every claim holds, and leaves nothing behind", async () => {
    const { api, run } = bench();
    const result = await run(async (b) => {
      expect(namespaces(api)).toEqual(["Namespace/lab-probe"]);
      await b.makeNamespace("other");
      b.claim("one", 1, 1);
    });
    expect(result).toMatchObject({
      verdict: "passed",
      claims: [{ holds: true }, { text: "nothing is left behind", holds: true }],
    });
    expect(namespaces(api)).toEqual([]);
  });

  it("continues after a claim that does not hold, and fails", async () => {
    const { run, lines } = bench();
    const result = await run((b) => {
      b.claim("one", 2, 1);
      b.claim("two", 2, 2);
      return Promise.resolve();
    });
    expect(result.verdict).toBe("failed");
    expect(result.reason).toBe("1 of 3 claims did not hold: one");
    expect(lines.join("\n")).toMatch(/predicted: 1\n\s+observed:\s+2/);
  });

  it("is undone when it throws, newest change first", async () => {
    const { api, done, run } = bench();
    const result = await run(async (b) => {
      await b.onNode("worker-0", "first", { change: "do 1", undo: "undo 1" });
      await b.onNode("worker-0", "second", { change: "do 2", undo: "undo 2" });
      throw new Error("no luck");
    });
    expect(result).toMatchObject({ verdict: "failed", reason: "no luck" });
    expect(done).toEqual(["worker-0: do 1", "worker-0: do 2", "worker-0: undo 2", "worker-0: undo 1"]);
    expect(namespaces(api)).toEqual([]);
  });

  it("is undone when it is interrupted, and gives that as the reason", async () => {
    const { done, interrupt, run } = bench();
    const result = await run(async (b) => {
      await b.onNode("worker-0", "change", { change: "do", undo: "undo" });
      setTimeout(() => interrupt.abort(new Interrupted()), 5);
      await b.until(
        "never",
        () => Promise.resolve(0),
        () => false,
        60,
      );
    });
    expect(result).toMatchObject({ verdict: "failed", reason: "interrupted" });
    expect(done).toEqual(["worker-0: do", "worker-0: undo"]);
  });

  it("does not sleep through an interruption", async () => {
    const { interrupt, run } = bench();
    setTimeout(() => interrupt.abort(new Interrupted()), 5);
    const result = await run((b) => b.pause(60));
    expect(result).toMatchObject({ verdict: "failed", reason: "interrupted" });
    expect(result.seconds).toBeLessThan(10);
  });

  it("has a time limit", async () => {
    const { run } = bench();
    const result = await run(
      (b) =>
        b
          .until(
            "never",
            () => Promise.resolve(0),
            () => false,
            60,
          )
          .then(() => undefined),
      { limit: 0.05 },
    );
    expect(result.reason).toBe("the lab did not finish within 0.05 s");
  });

  it("begins by undoing what a killed run left behind", async () => {
    const { api, cluster, done, run } = bench();
    new Journal(join(cluster.dir, "labs-journal.json")).add({
      kind: "command",
      title: "old",
      node: "worker-0",
      command: "undo old",
    });
    await api.put({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "lab-probe-old", labels: { [labLabel]: "probe" } },
    });
    const result = await run(() => Promise.resolve());
    expect(done).toEqual(["worker-0: undo old"]);
    expect(result.verdict).toBe("passed");
    expect(namespaces(api)).toEqual([]);
  });

  it("removes its labels from nodes", async () => {
    const { api, run } = bench();
    const swept = await run(async (b) => {
      await b.api.patch("Node", "worker-0", undefined, {
        metadata: { labels: { "lab.kubernetes-from-scratch/disk": "ssd" } },
      });
    });
    expect(swept.verdict).toBe("passed");
    expect(api.objects.get("Node/worker-0")?.metadata.labels).toEqual({ a: "b" });
  });

  it("is skipped, with the reason, if the cluster lacks what it needs", async () => {
    const { run } = bench();
    expect(await run(() => Promise.resolve(), { needs: ["two-workers"] })).toMatchObject({
      verdict: "skipped",
      reason: "it needs two workers, but this cluster has 1",
    });
    expect((await run(() => Promise.resolve(), { needs: ["stack"] })).reason).toContain("run it with --stack");
  });
});

describe("what is left behind", () => {
  it("is reported by path, before and after", () => {
    const before = { "worker-0": { labels: { a: "1", b: "2" }, taints: [] } };
    const after = { "worker-0": { labels: { a: "1", c: "3" }, taints: ["x:NoSchedule"] } };
    expect(changed(before, after)).toEqual([
      "worker-0.labels.b: 2 -> none",
      "worker-0.labels.c: none -> 3",
      'worker-0.taints: [] -> ["x:NoSchedule"]',
    ]);
    expect(changed(before, structuredClone(before))).toEqual([]);
  });
});

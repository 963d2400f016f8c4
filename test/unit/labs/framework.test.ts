/** The framework of the labs: claims, waits, the timeline, states, API paths and the journal. */
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { atMost, between, contains, judge, lacks, otherThan } from "../../../labs/framework/expectation";
import { Journal, type Undo } from "../../../labs/framework/journal";
import { pathOf } from "../../../labs/framework/kinds";
import { stateOf } from "../../../labs/framework/states";
import { spans, Timeline } from "../../../labs/framework/timeline";
import { until, WaitError } from "../../../labs/framework/wait";

describe("a claim", () => {
  it("holds if observed and predicted are equal as JSON", () => {
    expect(judge("same", { a: [1, undefined] }, { a: [1, null] } as never).holds).toBe(true);
    expect(judge("gone", undefined, undefined)).toEqual({ text: "gone", predicted: null, observed: null, holds: true });
    expect(judge("other", ["a"], ["b"]).holds).toBe(false);
  });
  it("shows a condition in words, and a number without noise", () => {
    expect(judge("limit", 0.1 + 0.2, atMost(1))).toEqual({
      text: "limit",
      predicted: "≤ 1",
      observed: 0.3,
      holds: true,
    });
    expect(judge("text", "abc", contains("x")).holds).toBe(false);
    expect(judge("text", "abc", lacks("x")).holds).toBe(true);
    expect(judge("range", 5, between(4, 5)).holds).toBe(true);
    expect(judge("new", "a", otherThan("a")).holds).toBe(false);
  });
});

describe("a wait", () => {
  it("ends when the value is as wanted", async () => {
    let n = 0;
    await expect(
      until(
        "three",
        () => Promise.resolve(++n),
        (v) => v === 3,
        { within: 5, every: 1 },
      ),
    ).resolves.toBe(3);
  });
  it("has a time limit, and reports what it last saw", async () => {
    const wait = until(
      "a pod",
      () => Promise.resolve({ phase: "Pending" }),
      () => false,
      { within: 0.02, every: 5 },
    );
    await expect(wait).rejects.toThrow('timed out after 0.02 s waiting for a pod; last seen: {"phase":"Pending"}');
    await expect(wait).rejects.toBeInstanceOf(WaitError);
  });
  it("treats an error as something seen, not as the end", async () => {
    const wait = until(
      "the API",
      () => Promise.reject(new Error("connection refused")),
      () => true,
      { within: 0.02, every: 5 },
    );
    await expect(wait).rejects.toThrow("last seen: error: connection refused");
  });
  it("ends at once, with the reason, when it is interrupted", async () => {
    const stop = new AbortController();
    const wait = until(
      "never",
      () => Promise.resolve(0),
      () => false,
      { within: 60, every: 10_000, signal: stop.signal },
    );
    setTimeout(() => stop.abort(new Error("interrupted")), 10);
    await expect(wait).rejects.toThrow("interrupted");
  });
});

describe("a timeline", () => {
  it("records a state once, and spans last until the next change or the end", () => {
    const timeline = new Timeline();
    timeline.change("Pod a", "Pending");
    timeline.change("Pod a", "Pending");
    expect(timeline.changes).toHaveLength(1);
    const changes = [
      { at: 1, lane: "Pod a", state: "Pending" },
      { at: 2, lane: "Pod b", state: "Ready" },
      { at: 3, lane: "Pod a", state: "Ready" },
      { at: 5, lane: "Pod a", state: "gone" },
    ];
    expect(spans(changes, 9)).toEqual([
      { lane: "Pod a", state: "Pending", from: 1, to: 3 },
      { lane: "Pod a", state: "Ready", from: 3, to: 5 },
      { lane: "Pod b", state: "Ready", from: 2, to: 9 },
    ]);
  });
  it("never has a span that ends before it begins", () => {
    const change = fc.record({
      at: fc.nat(100),
      lane: fc.constantFrom("a", "b"),
      state: fc.constantFrom("x", "y", "gone"),
    });
    fc.assert(
      fc.property(fc.array(change), fc.nat(100), (changes, end) => {
        const sorted = [...changes].sort((p, q) => p.at - q.at);
        expect(spans(sorted, end).every((span) => span.from <= span.to)).toBe(true);
      }),
    );
  });
  it("records a step even if it fails", async () => {
    const timeline = new Timeline();
    await expect(timeline.step("observe", "nothing", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(timeline.steps).toMatchObject([{ phase: "observe", title: "nothing", ok: false }]);
  });
});

describe("the state of an object in a word", () => {
  const pod = (status: object, metadata: object = {}) => stateOf("Pod", { metadata, spec: {}, status } as never);
  it.each([
    ["Ready", pod({ phase: "Running", conditions: [{ type: "Ready", status: "True" }] })],
    ["Running", pod({ phase: "Running", conditions: [{ type: "Ready", status: "False" }] })],
    [
      "Gated",
      pod({ phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "SchedulingGated" }] }),
    ],
    [
      "Unschedulable",
      pod({ phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable" }] }),
    ],
    ["Terminating", pod({ phase: "Running" }, { deletionTimestamp: "2026-01-01T00:00:00Z" })],
    ["2/3", stateOf("Deployment", { metadata: {}, spec: { replicas: 3 }, status: { readyReplicas: 2 } } as never)],
    ["exists", stateOf("ConfigMap", { metadata: {} } as never)],
  ])("%s", (word, state) => expect(state).toBe(word));
});

describe("the path in the API", () => {
  it.each([
    ["/api/v1/namespaces/a/pods/b/binding", pathOf("Pod", "a", "b", "binding")],
    ["/apis/apps/v1/namespaces/a/deployments", pathOf("Deployment", "a")],
    ["/api/v1/nodes/worker-0", pathOf("Node", "ignored", "worker-0")],
    ["/api/v1/pods", pathOf("Pod")],
  ])("%s", (path, made) => expect(made).toBe(path));
});

describe("the journal", () => {
  const undo = (title: string): Undo => ({ kind: "command", title, node: "worker-0", command: "true" });
  it("outlives its process, returns the newest entry first, and leaves no file once it is empty", () => {
    const file = join(mkdtempSync(join(tmpdir(), "kfs-journal-")), "deep", "journal.json");
    new Journal(file).add(undo("one"));
    new Journal(file).add(undo("two"));
    const journal = new Journal(file);
    expect(journal.newest()?.title).toBe("two");
    journal.drop();
    expect(journal.newest()?.title).toBe("one");
    journal.drop();
    expect(journal.newest()).toBeUndefined();
    expect(existsSync(file)).toBe(false);
  });
});

/** The report: its page, its topology, and the results of several runs. */
import { describe, expect, it } from "vitest";
import type { LabResult } from "../../../labs/framework/result";
import { html } from "../../../labs/report/html";
import { duration, merged, type Report, type ReportNode, tally } from "../../../labs/report/model";
import { page } from "../../../labs/report/page";
import { topology } from "../../../labs/report/topology";

const lab = (name: string, more: Partial<LabResult> = {}): LabResult => ({
  name,
  title: `Lab <${name}>`,
  part: "I",
  hypothesis: "It holds.",
  verdict: "passed",
  startedAt: "2026-11-23T22:00:00.000Z",
  seconds: 12,
  claims: [{ text: "two & two", predicted: 4, observed: 4, holds: true }],
  steps: [{ phase: "disturb", title: "add", at: 1, seconds: 2, ok: true }],
  changes: [
    { at: 1, lane: "Pod a", state: "Pending" },
    { at: 3, lane: "Pod a", state: "Ready" },
  ],
  evidence: {},
  ...more,
});
const node = (name: string, role: ReportNode["role"], zone: string): ReportNode => ({
  name,
  role,
  zone,
  address: "10.0.1.11",
  podCidr: "10.200.0.0/24",
  ready: true,
  kubelet: "v1.36.3",
  runtime: "containerd://2.3.4",
  os: "Debian",
});
const report: Report = {
  cluster: "local",
  clusterId: "uid",
  apiEndpoint: "https://10.0.1.11:6443",
  startedAt: "2026-11-23T22:00:00.000Z",
  seconds: 75,
  versions: { Kubernetes: "v1.36.3" },
  nodes: [
    node("controller-0", "control-plane", "a"),
    node("controller-1", "control-plane", "b"),
    node("controller-2", "control-plane", "c"),
    node("worker-0", "worker", "a"),
    node("worker-1", "worker", "b"),
  ],
  labs: [
    lab("one"),
    lab("two", {
      verdict: "failed",
      reason: "it <broke>",
      claims: [{ text: "x", predicted: "≤ 1", observed: 2, holds: false }],
    }),
    lab("three", { verdict: "skipped", reason: "only a kubeconfig", claims: [], steps: [], changes: [] }),
  ],
};

describe("the page", () => {
  const text = page(report);
  it("is self-contained", () => {
    expect(text).not.toMatch(/(src|href)\s*=\s*"(?!#|data:)/);
    expect(text).not.toMatch(/url\(|@import|<script/);
  });
  it("escapes what it shows", () => {
    expect(text).toContain("Lab &lt;two&gt;");
    expect(text).toContain("it &lt;broke&gt;");
    expect(text).toContain("two &amp; two");
    expect(text).not.toContain("<broke>");
  });
  it("shows every verdict in words, with the reason if a lab did not pass", () => {
    for (const words of ["✓ passed", "✗ failed", "– skipped", "only a kubeconfig", "1 min 15 s"])
      expect(text).toContain(words);
  });
  it("shows the predicted value next to the observed one", () => {
    expect(text).toMatch(/<code>≤ 1<\/code>[\s\S]{0,80}<code>2<\/code>/);
  });
  it("shows objects only while they were watched, that is, until the restore", () => {
    const restored = lab("four", {
      steps: [
        { phase: "disturb", title: "add", at: 1, seconds: 2, ok: true },
        { phase: "restore", title: "everything", at: 8, seconds: 4, ok: true },
      ],
    });
    expect(page({ ...report, labs: [restored] })).toContain("Pod a: Ready, 3.0 to 8.0 s");
    expect(page({ ...report, labs: [lab("five")] })).toContain("Pod a: Ready, 3.0 to 12.0 s");
  });
  it("draws a timeline if something was seen, but not for a skipped lab", () => {
    expect(text.match(/aria-label="Timeline of/g)).toHaveLength(2);
    expect(text).toContain("Pod a");
  });
});

describe("the topology", () => {
  const { text } = topology(report);
  it("shows every machine with its address, in its zone", () => {
    for (const { name } of report.nodes) expect(text).toContain(`>${name}</text`.replace("</text", ""));
    expect(text.match(/class="zone"/g)).toHaveLength(3);
  });
  it("has a title and a description for readers who cannot see it", () => {
    expect(text).toContain("<title id=");
    expect(text).toContain("controller-2, control-plane");
  });
  it("can be drawn for a cluster whose nodes are unknown", () => {
    expect(() => topology({ ...report, nodes: [] })).not.toThrow();
  });
});

describe("results of several runs", () => {
  const order = ["one", "two", "three"];
  it("show the latest of each lab, in the order of the series", () => {
    const again = [lab("two")];
    expect(merged(report, "uid", { labs: again }, order).labs.map((l) => [l.name, l.verdict])).toEqual([
      ["one", "passed"],
      ["two", "passed"],
      ["three", "skipped"],
    ]);
  });
  it("leave out those of another cluster", () => {
    expect(merged(report, "other", { labs: [lab("two")] }, order).labs.map((l) => l.name)).toEqual(["two"]);
    expect(merged(undefined, "uid", { labs: [lab("two")] }, order).labs).toHaveLength(1);
  });
});

describe("small helpers", () => {
  it("count verdicts", () => expect(tally(report.labs)).toEqual({ passed: 1, failed: 1, skipped: 1 }));
  it("write durations", () =>
    expect([duration(59.4), duration(60), duration(61)]).toEqual(["59 s", "1 min 0 s", "1 min 1 s"]));
  it("escape text in templates, but not HTML in HTML", () => {
    expect(html`<p>${'<"'} ${[html`<b>${1}</b>`, undefined, false]}</p>`.text).toBe("<p>&lt;&quot; <b>1</b></p>");
  });
});

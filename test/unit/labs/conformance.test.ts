/** The conformance suite: its progress, its results, and the report's section. */
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { progress } from "../../../labs/conformance/progress";
import {
  conforms,
  type ConformanceResult,
  type GinkgoReport,
  type GinkgoSpec,
  resultOf,
  tallySpecs,
} from "../../../labs/conformance/result";
import { conformanceImagesOf } from "../../../labs/images";
import { conformanceSection } from "../../../labs/report/conformance";
import { imageRecipe } from "../../../supply/images/recipes";
import { parseReference } from "../../../supply/images/oci";

const spec = (name: string, State: GinkgoSpec["State"], message?: string): GinkgoSpec => ({
  ContainerHierarchyTexts: ["[sig-apps] Things"],
  LeafNodeType: "It",
  LeafNodeText: name,
  State,
  RunTime: 1_234_000_000,
  ...(message === undefined ? {} : { Failure: { Message: message } }),
});
const ginkgo = (specs: readonly GinkgoSpec[], willRun = specs.length): GinkgoReport => ({
  StartTime: "2026-11-27T09:00:00Z",
  RunTime: 61_500_000_000,
  PreRunStats: { SpecsThatWillRun: willRun },
  SpecialSuiteFailureReasons: null,
  SpecReports: specs,
});
const read = (report: GinkgoReport): ConformanceResult => resultOf(report, { version: "v1.36.3", processes: 4 });

describe("the progress", () => {
  const follow = (processes: number, lines: readonly string[]): string[] => {
    const printed: string[] = [];
    const see = progress(processes, (line) => printed.push(stripVTControlCharacters(line)));
    for (const line of lines) see(line);
    return printed;
  };
  const one = "[sig-apps] A [Serial] works [Conformance] [sig-apps, Serial, Conformance]";
  const two = "[sig-cli] B works [Conformance] [sig-cli, Conformance]";
  const expected = [
    "  ✓ 1/2  [sig-apps] A [Serial] works [Conformance]  0.5 s",
    "  ✗ 2/2  [sig-cli] B works [Conformance]  61.0 s",
  ];

  it("names each spec when it has ended, with several processes", () => {
    const before = ["Will run 2 of 7579 specs", "[SynchronizedBeforeSuite] PASSED [0.192 seconds]"];
    const lines = [
      "• [0.490 seconds]",
      one,
      "a.go:1",
      "• [FAILED] [61.000 seconds]",
      two.replace("B", "B [It]"),
      "b.go:2",
      two,
    ];
    expect(follow(4, [...before, ...lines])).toEqual(expected);
  });
  it("names each spec when it has ended, with a single one", () => {
    const lines = [one, "a.go:1", "• [0.490 seconds]", two, "b.go:2", "• [FAILED] [61.000 seconds]", two];
    expect(follow(1, ["Will run 2 of 7579 specs", ...lines])).toEqual(expected);
  });
});

describe("the result", () => {
  it("has what ran, and leaves out what was not chosen", () => {
    const result = read(ginkgo([spec("b", "passed"), spec("a", "passed"), spec("not chosen", "skipped", "")], 2));
    expect(result.specs.map(({ name, seconds }) => [name, seconds])).toEqual([
      ["[sig-apps] Things a", 1.2],
      ["[sig-apps] Things b", 1.2],
    ]);
    expect([result.seconds, conforms(result)]).toEqual([62, true]);
  });

  it.each([
    ["failed", ginkgo([spec("a", "passed"), spec("b", "failed", "no")]), { failed: 1 }],
    ["timed out", ginkgo([spec("a", "passed"), spec("b", "timedout")]), { failed: 1 }],
    ["panicked", ginkgo([spec("a", "passed"), spec("b", "panicked", "nil")]), { failed: 1 }],
    ["skipped itself", ginkgo([spec("a", "passed"), spec("b", "skipped", "needs three nodes")]), { skipped: 1 }],
    ["did not run", ginkgo([spec("a", "passed")], 2), { missing: 1 }],
  ])("does not conform if a spec %s", (_, report, counts) => {
    const result = read(report);
    expect(tallySpecs(result)).toEqual({ passed: 1, failed: 0, skipped: 0, missing: 0, ...counts });
    expect(conforms(result)).toBe(false);
  });

  it("does not conform if nothing was chosen, or if something around the specs failed", () => {
    expect(conforms(read(ginkgo([], 0)))).toBe(false);
    const around = {
      ...spec("", "failed", "\u001b[1mno API server\u001b[0m"),
      LeafNodeType: "SynchronizedBeforeSuite",
    };
    const result = read(ginkgo([spec("a", "passed"), around, around], 1));
    expect(result.errors).toEqual(["SynchronizedBeforeSuite failed: no API server"]);
    expect(conforms(result)).toBe(false);
    const interrupted = { ...ginkgo([spec("a", "passed")]), SpecialSuiteFailureReasons: ["Interrupted by User"] };
    expect(read(interrupted).errors).toEqual(["Interrupted by User"]);
  });

  it("is a section of the report, with the reason of every spec that did not pass", () => {
    const result = read(ginkgo([spec("a", "passed"), spec("b", "failed", "saw <1>")]));
    const { text } = conformanceSection(result);
    expect(text).toContain("1 of 2");
    expect(text).toContain("failed: saw &lt;1&gt;");
    expect(text).toContain("1 min 2 s");
  });
});

describe("the images", () => {
  const suite = [
    "registry.k8s.io/e2e-test-images/agnhost:2.63.0",
    "registry.k8s.io/etcd:3.6.8-0",
    "gcr.io/k8s-authenticated-test/agnhost:2.6",
    "registry.k8s.io/sig-storage/csi-attacher:v4.11.0",
    "registry.k8s.io/e2e-test-images/node-perf/npb-is:1.7.0",
  ];
  it("are those of the suite's list that conformance specs pull, and each can be built", () => {
    expect(conformanceImagesOf(suite)).toEqual(suite.slice(0, 2));
    for (const { repository, tag } of conformanceImagesOf(suite).map(parseReference))
      expect(imageRecipe(repository, tag)).toBeDefined();
  });
});

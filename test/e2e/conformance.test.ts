/** Specs of every group of the conformance suite, as `make conformance FOCUS=` runs them. All of them: `make conformance`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Report } from "../../labs/report/model";
import type { ConformanceResult } from "../../labs/conformance/result";
import { stackDir } from "../../tools/places";
import { type Outcome } from "../support/cluster";
import { clusterFor, type Needs } from "../support/needs";

const needs: Needs = { preset: "local" };
const cluster = clusterFor("conformance", needs);
const specs = readFileSync(join(__dirname, "conformance-specs.txt"), "utf8").trim().split("\n");
const report = join(stackDir(cluster.at.stack), "report");

let outcome: Outcome;
let result: ConformanceResult | undefined;
beforeAll(async () => {
  const focus = specs.map((name) => name.replace(/[^\w ]/g, ".")).join("|");
  outcome = await cluster.tryMake`conformance FOCUS=${focus}`;
  result = (JSON.parse(readFileSync(join(report, "labs.json"), "utf8")) as Report).conformance;
});

it("runs what matches, one line for each as it ends, and ends well only if all of that passed", () => {
  expect(outcome.all).toMatch(new RegExp(`${specs.length}/${specs.length}  \\[sig-`));
  expect(outcome.all).toContain(`${specs.length} passed, 0 failed, 0 skipped, 0 not run`);
  expect(outcome.exitCode).toBe(0);
  expect(result?.version).toBe("v1.36.3");
});

it("leaves the result in the report, and upstream's own files beside it", () => {
  expect(readFileSync(join(report, "index.html"), "utf8")).toContain(`${specs.length} of ${specs.length}`);
  const junit = readFileSync(join(report, "conformance/junit_01.xml"), "utf8");
  for (const group of ["sig-apps", "sig-network", "sig-node", "sig-storage"]) expect(junit).toContain(`[${group}]`);
  expect(readFileSync(join(report, "conformance/e2e.log"), "utf8")).toContain(`Ran ${specs.length} of`);
});

it("says so if no spec matches", async () => {
  const { exitCode, all } = await cluster.tryMake`conformance FOCUS=no-such-spec`;
  expect(exitCode).not.toBe(0);
  expect(all).toContain("No conformance spec matches FOCUS");
});

describe("passes", () => {
  it.each(specs)("%s", (name) => {
    const found = result?.specs.find((spec) => spec.name === name);
    expect(found?.verdict, found?.reason ?? "it did not run").toBe("passed");
  });
});

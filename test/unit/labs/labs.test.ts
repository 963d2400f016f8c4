/** The labs themselves: all are listed, explained, and made of known kinds and images. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { labs } from "../../../labs";
import { type Kind, kinds } from "../../../labs/framework/kinds";
import { adopt, labLabel, labsDir, readManifests } from "../../../labs/framework/manifests";
import { labImages } from "../../../labs/images";

/** Files of a lab that are not API objects. */
const configuration = ["second-scheduler.yaml"];
const folders = readdirSync(labsDir, { withFileTypes: true })
  .filter(({ name }) => name !== "framework" && existsSync(join(labsDir, name, "lab.ts")))
  .map((entry) => entry.name);
const manifestsOf = (lab: string): string[] => {
  const dir = join(labsDir, lab, "manifests");
  return existsSync(dir) ? readdirSync(dir).filter((file) => !configuration.includes(file)) : [];
};

describe("the labs", () => {
  it("are all listed, each exactly once", () => {
    expect(labs.map((lab) => lab.name).sort()).toEqual(folders.sort());
  });
  it("have names that can be part of a namespace", () => {
    for (const { name } of labs) expect(`lab-${name}`).toMatch(/^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$/);
  });
});

describe.each(labs.map((lab) => [lab.name, lab] as const))("%s", (name) => {
  it("has a README with the hypothesis, what to watch, the commands by hand, the reasons, and further reading", () => {
    const text = readFileSync(join(labsDir, name, "README.md"), "utf8");
    for (const part of [
      "**Hypothesis.**",
      "## What to watch",
      "## By hand",
      "## Why it works this way",
      "## Further reading",
    ])
      expect(text).toContain(part);
    expect(text).toMatch(/\]\(https:\/\/kubernetes\.io\/docs\//);
  });
  it.each(manifestsOf(name))("has only known kinds and images in manifest %s", (file) => {
    for (const object of readManifests(name, file)) {
      expect(object.apiVersion).toBe(kinds[object.kind as Kind].apiVersion);
      const text = JSON.stringify(object);
      for (const [, image] of text.matchAll(/"image":"([^"]+)"/g)) expect(labImages).toContain(image);
      if (text.includes('"image"')) expect(text).toContain('"imagePullPolicy":"IfNotPresent"');
    }
  });
  it("has a README that mentions only existing manifests", () => {
    const text = readFileSync(join(labsDir, name, "README.md"), "utf8");
    for (const [path] of text.matchAll(/labs\/[\w-]+\/manifests\/[\w.-]+\.yaml/g))
      expect(existsSync(join(labsDir, "..", path)), path).toBe(true);
  });
});

describe("an object of a lab", () => {
  it("gets the lab's label and namespace, and keeps what it has", () => {
    const made = adopt(
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", labels: { x: "y" } } },
      "dns",
      "lab-dns",
    );
    expect(made.metadata).toEqual({ name: "a", namespace: "lab-dns", labels: { [labLabel]: "dns", x: "y" } });
  });
  it("gets no namespace if its kind is not namespaced", () => {
    expect(
      adopt({ apiVersion: "v1", kind: "Namespace", metadata: { name: "a" } }, "dns", "lab-dns").metadata,
    ).not.toHaveProperty("namespace");
  });
});

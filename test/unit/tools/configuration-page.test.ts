/** The configuration page agrees with Pulumi.yaml, and describes every key that the program knows. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { fields } from "../../../cluster/config/fields";
import { configurationPage } from "../../../tools/configuration-page";
import { root } from "../../../tools/places";

const projectFile = readFileSync(join(root, "Pulumi.yaml"), "utf8");

it("is up to date (run `npm run docs` after changing Pulumi.yaml)", async () => {
  expect(readFileSync(join(root, "docs/configuration.md"), "utf8")).toBe(await configurationPage(projectFile));
});

it("describes every key of the configuration, and no other", async () => {
  const keys = [...(await configurationPage(projectFile)).matchAll(/^\| `(\w+)` /gm)].map(([, key]) => key);
  expect(keys.sort()).toEqual(Object.keys(fields).sort());
});

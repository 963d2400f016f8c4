/** The table of kube-apiserver's flags is what the program itself says. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cachedApiServer, flagTable, helpOf } from "../../../tools/api-server-flags";
import { root } from "../../../tools/places";
import { ownedFlags } from "../../../cluster/config/owned-flags";

const text = readFileSync(join(root, "cluster/config/api-server-flags.json"), "utf8");
const table = JSON.parse(text) as { flags: Record<string, string>; admissionPlugins: string[] };
const binary = cachedApiServer();

describe("the table of flags", () => {
  it.skipIf(binary === undefined)("is that of the kube-apiserver in the cache (run `npm run flags`)", () =>
    expect(text).toBe(flagTable(helpOf(binary!))),
  );

  it("has every flag that the program owns", () =>
    expect(Object.keys(ownedFlags).filter((flag) => !(flag in table.flags))).toEqual([]));

  it("has every flag of the unit", () => {
    const unit = readFileSync(join(root, "bootstrap/units/kube-apiserver.service"), "utf8");
    const flags = [...unit.matchAll(/^ {2}--([\w-]+)=/gm)].map(([, flag]) => flag!);
    expect(flags.length).toBeGreaterThan(20);
    expect(flags.filter((flag) => !(flag in table.flags))).toEqual([]);
  });
});

it("reads names, types, deprecations and plugins", () => {
  const help = [
    "      --alpha                     If true, it is on.",
    "  -v, --v Level                   number for the log level verbosity",
    "      --old string                Something. (DEPRECATED: Use --new instead.)",
    "                                  --more lines of the same description",
    "      --enable-admission-plugins strings   plugins (One). Comma-delimited list of admission plugins: One, Two. The order.",
  ].join("\n");
  expect(JSON.parse(flagTable(help))).toEqual({
    flags: { alpha: "bool", "enable-admission-plugins": "strings", old: "string", v: "Level" },
    deprecated: { old: "Use --new instead." },
    admissionPlugins: ["One", "Two"],
  });
});

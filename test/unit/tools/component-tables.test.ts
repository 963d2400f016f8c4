/** The tables of flags, feature gates and fields are what the programs themselves say. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ownedFlags } from "../../../cluster/config/owned-flags";
import { root } from "../../../tools/places";
import {
  cachedProgram,
  flagComponents,
  flagTable,
  gateComponents,
  gateTable,
  helpOf,
  kubeletSource,
  kubeletTable,
  tablesDirectory,
} from "../../../tools/component-tables";

const text = (name: string): string => readFileSync(join(tablesDirectory, `${name}.json`), "utf8");

describe.each(flagComponents)("the table of flags of %s", (component) => {
  const { flags: table } = JSON.parse(text(component)) as { flags: Record<string, string> };
  const program = cachedProgram(component);

  it.skipIf(program === undefined)("is that of the program in the cache (run `npm run tables`)", () =>
    expect(text(component)).toBe(flagTable(helpOf(program!))),
  );

  it("has every flag that the program owns", () =>
    expect(Object.keys(ownedFlags[component]).filter((flag) => !(flag in table))).toEqual([]));

  it("has every flag of the unit, and those about identity and trust are owned", () => {
    const unit = readFileSync(join(root, `bootstrap/units/${component}.service`), "utf8");
    const flags = [...unit.matchAll(/^ {2}--([\w-]+)=/gm)].map(([, flag]) => flag!);
    expect(flags.length).toBeGreaterThan(6);
    expect(flags.filter((flag) => !(flag in table))).toEqual([]);
    const trusted = flags.filter((flag) => /(-file|kubeconfig|-config|-ca|-cert|-key)$/.test(flag));
    expect(trusted.filter((flag) => !(flag in ownedFlags[component]))).toEqual([]);
  });
});

describe("the other tables", () => {
  const programs = gateComponents.map((name) => [name, cachedProgram(name)] as const);

  it.skipIf(programs.some(([, program]) => program === undefined))("have the gates of the programs in the cache", () =>
    expect(text("feature-gates")).toBe(
      gateTable(Object.fromEntries(programs.map(([name, program]) => [name, helpOf(program!)]))),
    ),
  );

  const source = kubeletSource();
  it.skipIf(source === undefined)("have the fields of the source in Go's module cache", () =>
    expect(text("kubelet")).toBe(kubeletTable(source!)),
  );

  it("read types, and which component lacks a gate", () => {
    const go =
      'type Mode string\ntype KubeletConfiguration struct {\n\tA *int32 `json:"a"`\n\tB Mode `json:"b,omitempty"`\n\tC metav1.Duration `json:"c"`\n\tD map[string]string `json:"d"`\n\tE []v1.Taint `json:"e"`\n}\n';
    expect(JSON.parse(kubeletTable(go))).toEqual({ a: "integer", b: "string", c: "duration", d: "map", e: "list" });
    const line = (gate: string) => `   kube:${gate}=true|false (BETA - default=true)\n`;
    expect(JSON.parse(gateTable({ one: line("One") + line("Two"), two: line("One") }))).toEqual({
      gates: ["One", "Two"],
      unknown: { two: ["Two"] },
    });
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

/** Quoting for shells and tables for the terminal. */
import { execaSync } from "execa";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { quote } from "../../../lib/quote";
import { formatTable } from "../../../lib/table";

describe("a quoted value", () => {
  const inShell = (values: readonly string[]): string[] => {
    const script = `printf '%s\\0' ${values.map(quote).join(" ")}`;
    return execaSync("sh", ["-c", script], { stripFinalNewline: false }).stdout.split("\0").slice(0, -1);
  };

  test("is read back unchanged by a shell, whatever it contains", () => {
    const text = fc.string({ unit: "grapheme" }).filter((value) => !value.includes("\0"));
    const property = fc.property(fc.array(text, { minLength: 1 }), (values) => {
      expect(inShell(values)).toEqual(values);
    });
    fc.assert(property, { numRuns: 10, examples: [[["", "'", "it's", "''", "a\nb", '$HOME `id` \\ "']]] });
  });
});

describe("a table", () => {
  test("has columns as wide as their widest cell, and no spaces at the ends of lines", () => {
    const rows = [
      ["NAME", "ZONE"],
      ["controller-0", "a"],
      ["b", ""],
    ];
    expect(formatTable(rows)).toBe("NAME          ZONE\ncontroller-0  a\nb");
  });

  test("accepts rows of different lengths, and no rows", () => {
    expect(formatTable([["a"], ["bb", "c"]])).toBe("a\nbb  c");
    expect(formatTable([])).toBe("");
  });
});

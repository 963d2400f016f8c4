/** The hash by which a cloud's processes are found to run old code. */
import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { codeHash } from "../../../cloud/code";

it("changes with the content and the name of every file, and only with them", () => {
  const copy = mkdtempSync(join(tmpdir(), "code-"));
  try {
    cpSync(resolve(__dirname, "../../../cloud"), copy, { recursive: true });
    const before = codeHash([copy]);
    expect(codeHash([resolve(__dirname, "../../../cloud")])).toBe(before);
    writeFileSync(join(copy, "ec2-api/state.py"), "other");
    const changed = codeHash([copy]);
    renameSync(join(copy, "ec2-api/state.py"), join(copy, "ec2-api/states.py"));
    expect(new Set([before, changed, codeHash([copy])]).size).toBe(3);
  } finally {
    rmSync(copy, { recursive: true });
  }
});

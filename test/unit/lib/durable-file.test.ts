/** Files that are replaced or created as a whole. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFile, replaceFile } from "../../../lib/durable-file";

let folder = "";
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "durable-"))));
afterEach(() => rmSync(folder, { recursive: true }));

const mode = (path: string): number => statSync(path).mode & 0o777;

describe("a file that is replaced", () => {
  it("is created with its folder, closed to other users", () => {
    const path = join(folder, "state", "file");
    replaceFile(path, "first");
    expect([readFileSync(path, "utf8"), mode(path), mode(join(folder, "state"))]).toEqual(["first", 0o600, 0o700]);
  });

  it("keeps its mode unless another is given, whatever the umask is, and nothing is left beside it", () => {
    const path = join(folder, "file");
    const umask = process.umask(0o077);
    try {
      writeFileSync(path, "first");
      replaceFile(path, "second", { mode: 0o664 });
      replaceFile(path, "third");
    } finally {
      process.umask(umask);
    }
    expect([readFileSync(path, "utf8"), mode(path), readdirSync(folder)]).toEqual(["third", 0o664, ["file"]]);
  });

  it("stays as it is if the new content cannot get its name", () => {
    mkdirSync(join(folder, "name", "taken"), { recursive: true });
    expect(() => replaceFile(join(folder, "name"), "x")).toThrow(/EISDIR|ENOTEMPTY/);
    expect(readdirSync(folder)).toEqual(["name"]);
  });

  it("takes along what processes that are gone have left of it, and nothing of others", () => {
    const gone = spawnSync("true").pid;
    const others = [`file.${process.ppid}.new`, `file.old.${gone}.new`, `other.${gone}.new`, "file.new"];
    for (const name of [...others, `file.${gone}.new`]) writeFileSync(join(folder, name), "part");
    replaceFile(join(folder, "file"), "whole");
    expect(readdirSync(folder).sort()).toEqual([...others, "file"].sort());
  });
});

describe("a file that is created", () => {
  it("is the first one's, complete, and later ones leave it alone", () => {
    const path = join(folder, "file");
    expect([createFile(path, "first"), createFile(path, "second")]).toEqual([true, false]);
    expect([readFileSync(path, "utf8"), mode(path), readdirSync(folder)]).toEqual(["first", 0o600, ["file"]]);
  });
});

/** Which checkout a cloud belongs to, by what state directories and labels say. */
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { withFileLock } from "../../../lib/file-lock";
import { LABEL, bridgePrefix, cloudOf, isOwn, ownerLabels } from "../../../cloud/names";
import { hasCloud, lockFile, originalOf, readIdentity, recordIdentity, settingsFile } from "../../../cloud/state-dir";

let root: string;
const at = (name: string): string => join(root, name);
const cloudAt = (name: string) => cloudOf({ name: "lab", port: 5001, stateDir: at(name) });
const start = (name: string): void => (mkdirSync(at(name), { recursive: true }), recordIdentity(at(name)));
const move = (from: string, to: string): void => renameSync(at(from), at(to));
const copy = (from: string, to: string): void => cpSync(at(from), at(to), { recursive: true });
/** A cloud as versions without ids left it. */
const startFormerly = (name: string): void => {
  mkdirSync(at(name));
  writeFileSync(settingsFile(at(name)), JSON.stringify({ cloud: { name: "lab", port: 5001, stateDir: at(name) } }));
};

beforeEach(() => (root = mkdtempSync(join(tmpdir(), "kfs-owner-"))));
afterEach(() => rmSync(root, { recursive: true }));

describe("a cloud", () => {
  it("keeps its id, its labels' owner and the names of its bridges when it is moved", () => {
    start("a");
    const before = cloudAt("a");
    expect(before.id).toMatch(/^[0-9a-f]{16}$/);
    move("a", "b");
    start("b");
    const after = cloudAt("b");
    expect([after.id, bridgePrefix(after)]).toEqual([before.id, bridgePrefix(before)]);
    expect(isOwn(after, ownerLabels(before))).toBe(true);
    expect(readIdentity(at("b"))?.directories).toEqual([at("a"), at("b")]);
  });

  it("owns what it made before there were ids, also after it was moved", () => {
    startFormerly("a");
    const bridges = bridgePrefix(cloudAt("a"));
    const labels = { [LABEL.cloud]: "lab", [LABEL.stateDir]: at("a") };
    for (const [from, to] of [
      ["a", "b"],
      ["b", "c"],
    ] as const) {
      move(from, to);
      expect(originalOf(at(to))).toBeUndefined();
      start(to);
      expect(isOwn(cloudAt(to), labels)).toBe(true);
      expect(bridgePrefix(cloudAt(to))).toBe(bridges);
    }
  });

  it("does not own what another cloud of the same name made, even at the same path", () => {
    start("a");
    const labels = ownerLabels(cloudAt("a"));
    rmSync(at("a"), { recursive: true });
    expect(isOwn(cloudAt("a"), labels)).toBe(false);
    start("a");
    expect(isOwn(cloudAt("a"), labels)).toBe(false);
    expect(isOwn(cloudAt("a"), { [LABEL.stateDir]: at("elsewhere") })).toBe(false);
  });
});

describe("a state directory", () => {
  it("has a cloud once that was started, or while it is being started; one that merely exists has none", async () => {
    expect(hasCloud(at("a"))).toBe(false);
    const waiting = (): never => expect.fail("nobody else has the lock");
    await withFileLock(lockFile(at("a")), waiting, async () => expect(hasCloud(at("a"))).toBe(true));
    mkdirSync(join(at("a"), "gateway"), { recursive: true });
    expect(hasCloud(at("a"))).toBe(false);
    start("a");
    expect(hasCloud(at("a"))).toBe(true);
    startFormerly("b");
    expect(hasCloud(at("b"))).toBe(true);
  });
});

describe("a copy of a state directory", () => {
  it.each(["with an id", "without one"])("names its original as long as that has the cloud (%s)", (ids) => {
    if (ids === "with an id") start("a");
    else startFormerly("a");
    copy("a", "copy");
    if (ids === "without one") start("a");
    expect(originalOf(at("copy"))).toBe(at("a"));
    expect(originalOf(at("a"))).toBeUndefined();
    rmSync(at("a"), { recursive: true });
    expect(originalOf(at("copy"))).toBeUndefined();
  });

  it("names the original at the path to which that was moved since, which the labels tell", () => {
    start("a");
    copy("a", "copy");
    move("a", "b");
    start("b");
    expect(originalOf(at("copy"), [at("a"), at("b")])).toBe(at("b"));
    copy("b", "a");
    expect(originalOf(at("a"))).toBe(at("b"));
    expect(originalOf(at("b"))).toBeUndefined();
  });

  it("is not another path to the same directory", () => {
    start("a");
    move("a", "b");
    symlinkSync(at("b"), at("a"));
    expect(originalOf(at("b"))).toBeUndefined();
  });
});

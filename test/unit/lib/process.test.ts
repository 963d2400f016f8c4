/** Background processes that a record in a directory identifies, also when that directory is moved or copied. */
import { cpSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runningElsewhere, runningPid, startDaemon, stopDaemon } from "../../../lib/process";

let home: string;
const daemon = (directory: string) => ({ name: "sleeper", directory: join(home, directory) });

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "kfs-process-"));
  startDaemon(daemon("first"), "sleep", ["600"]);
});
afterEach(async () => {
  for (const directory of ["first", "second"]) await stopDaemon(daemon(directory));
  rmSync(home, { recursive: true });
});

it("moves with its directory", () => {
  const pid = runningPid(daemon("first"));
  expect(pid).toBeGreaterThan(0);
  renameSync(join(home, "first"), join(home, "second"));
  expect(runningPid(daemon("second"))).toBe(pid);
  expect(runningElsewhere(daemon("second"))).toBeUndefined();
});

it("is not a copy's, which neither counts it as its own nor stops it", async () => {
  const pid = runningPid(daemon("first"));
  cpSync(join(home, "first"), join(home, "copy"), { recursive: true });
  expect(runningPid(daemon("copy"))).toBeUndefined();
  expect(runningElsewhere(daemon("copy"))).toBe(join(home, "first"));
  renameSync(join(home, "first"), join(home, "second"));
  expect(runningElsewhere(daemon("copy"))).toBe(join(home, "second"));
  await stopDaemon(daemon("copy"));
  expect(runningPid(daemon("second"))).toBe(pid);
});

it("counts as running if its directory was moved to another file system", () => {
  const pid = runningPid(daemon("first"));
  cpSync(join(home, "first"), join(home, "second"), { recursive: true });
  rmSync(join(home, "first"), { recursive: true });
  expect(runningPid(daemon("second"))).toBe(pid);
});

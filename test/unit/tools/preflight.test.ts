import { describe, expect, test } from "vitest";
import { lacks, type MachineFacts } from "../../../tools/preflight";

const GiB = 2 ** 30;
const good: MachineFacts = {
  platform: "linux",
  architecture: "x64",
  isRoot: true,
  totalMemory: 8 * GiB,
  freeMemory: 6 * GiB,
  freeDisk: 40 * GiB,
  python: "Python 3.11",
  hasApt: true,
  dockerAnswers: false,
};

describe("what a machine lacks for the local cloud", () => {
  test("is nothing on a Debian machine with root", () => expect(lacks(good)).toEqual([]));

  test.each<[string, Partial<MachineFacts>, RegExp]>([
    ["another system", { platform: "darwin" }, /Linux only, this is darwin.*STACK=dev/],
    ["another processor", { architecture: "riscv64" }, /riscv64/],
    ["no root", { isRoot: false }, /sudo -E make up/],
    ["little memory", { totalMemory: 2 * GiB }, /2\.0 GiB in all/],
    ["little disk", { freeDisk: 3 * GiB }, /12 GiB of free disk.*3\.0 GiB/],
    ["no Python, no way to install it", { python: undefined, hasApt: false, dockerAnswers: true }, /python3-venv/],
    ["no engine, no way to install it", { hasApt: false }, /install Docker Engine/],
  ])("%s is told with its remedy", (_name, change, message) => {
    const faults = lacks({ ...good, ...change });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(message);
  });

  test("every lack is told at once", () =>
    expect(lacks({ ...good, isRoot: false, freeDisk: 0, totalMemory: 0 })).toHaveLength(3));
});

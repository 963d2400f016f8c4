/** The facts about a machine, and what it lacks for the local cloud. */
import { describe, expect, it } from "vitest";
import { lacks, type MachineFacts } from "../../../tools/preflight";

const GiB = 2 ** 30;
const good: MachineFacts = {
  platform: "linux",
  architecture: "x64",
  isRoot: true,
  totalMemory: 8 * GiB,
  freeDisk: 40 * GiB,
  python: "Python 3.11",
  hasApt: true,
  dockerAnswers: false,
};

describe("what a machine lacks for the local cloud", () => {
  it("is nothing on a Debian machine with root", () => expect(lacks(good)).toEqual([]));

  it.each<[string, Partial<MachineFacts>, RegExp]>([
    ["another system", { platform: "darwin" }, /only on Linux, and this is darwin.*STACK=dev/],
    ["another processor", { architecture: "riscv64" }, /riscv64/],
    ["no root", { isRoot: false }, /sudo -E make up/],
    ["little memory", { totalMemory: 2 * GiB }, /2\.0 GiB in total/],
    ["little disk", { freeDisk: 3 * GiB }, /12 GiB of free disk.*3\.0 GiB/],
    ["no Python and no way to install it", { python: undefined, hasApt: false, dockerAnswers: true }, /python3-pip/],
    ["no engine and no way to install one", { hasApt: false }, /Install Docker Engine/],
  ])("%s is reported with its remedy", (_name, change, message) => {
    const faults = lacks({ ...good, ...change });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(message);
  });

  it("all of it is reported at once", () =>
    expect(lacks({ ...good, isRoot: false, freeDisk: 0, totalMemory: 0 })).toHaveLength(3));
});

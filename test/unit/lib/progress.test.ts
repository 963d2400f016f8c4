/** Progress lines in a log and on a terminal. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { progress } from "../../../lib/progress";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A screen that records what is written to it. */
function screen(terminal: boolean) {
  const written: string[] = [];
  return { isTTY: terminal, columns: 40, written, write: (text: string) => written.push(text) };
}

const takes = (milliseconds: number) => (): Promise<string> =>
  new Promise((done) => setTimeout(done, milliseconds, "done"));

describe("progress in a log", () => {
  it("is a line at the start, one every 30 s and one at the end", async () => {
    const log = screen(false);
    const work = progress("building it", takes(70_000), log);
    await vi.advanceTimersByTimeAsync(70_000);
    expect(await work).toBe("done");
    await vi.advanceTimersByTimeAsync(120_000);
    expect(log.written).toEqual([
      "  … building it\n",
      "  … building it: 30 s so far\n",
      "  … building it: 60 s so far\n",
      "  ✓ building it (70.0 s)\n",
    ]);
  });

  it("marks a failure and passes it on", async () => {
    const log = screen(false);
    await expect(progress("building it", () => Promise.reject(new Error("no")), log)).rejects.toThrow("no");
    expect(log.written.at(-1)).toBe("  ✗ building it (0.0 s)\n");
  });
});

describe("progress on a terminal", () => {
  it("counts in a single line, shared by all parts and truncated to the width", async () => {
    const terminal = screen(true);
    const both = Promise.all([
      progress("building one thing", takes(3000), terminal),
      progress("downloading another thing", takes(5000), terminal),
    ]);
    await vi.advanceTimersByTimeAsync(2000);
    const line = terminal.written.at(-1) ?? "";
    expect(line).toBe("\r\x1b[2K  … building one thing 2 s · downloading an".slice(0, 5 + 39));
    expect(line).not.toContain("\n");
    await vi.advanceTimersByTimeAsync(3000);
    await both;
    expect(terminal.written.filter((text) => text.endsWith("\n"))).toEqual([
      "\r\x1b[2K  ✓ building one thing (3.0 s)\n",
      "\r\x1b[2K  ✓ downloading another thing (5.0 s)\n",
    ]);
    expect(terminal.written.at(-1)).toBe("\r\x1b[2K");
  });
});

/** Running commands: exit codes, output and input. */
import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { run, tryRun } from "../../../lib/run";

const shell = (script: string, options = {}) => tryRun("sh", ["-c", script], options);

describe("a command's outcome", () => {
  it("has the exit code, standard output, and all output in order", async () => {
    expect(await shell("echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three; exit 3")).toEqual({
      exitCode: 3,
      stdout: "one\nthree\n",
      stderr: "two\n",
      all: "one\ntwo\nthree\n",
    });
  });

  it("is exit code 0 with empty output for a silent success", async () => {
    expect(await tryRun("true", [])).toEqual({ exitCode: 0, stdout: "", stderr: "", all: "" });
  });

  it("is exit code 127 and the reason if the command cannot be started", async () => {
    expect(await tryRun("no-such-command", [])).toEqual({
      exitCode: 127,
      stdout: "",
      stderr: "",
      all: "spawn no-such-command ENOENT",
      incomplete: "spawn no-such-command ENOENT",
    });
  });

  it("is exit code 1 with the output so far if a signal ends the command", async () => {
    expect(await shell("echo begun; kill -KILL $$")).toEqual({
      exitCode: 1,
      stdout: "begun\n",
      stderr: "",
      all: "begun\n",
      incomplete: "ended by SIGKILL",
    });
  });

  it("says so if the command runs out of time or is stopped by its caller", async () => {
    expect(await shell("echo begun; exec sleep 60", { timeoutSeconds: 0.3 })).toMatchObject({
      exitCode: 1,
      stdout: "begun\n",
      incomplete: "stopped after 0.3 s",
    });
    const { incomplete } = await shell("exec sleep 60", { signal: AbortSignal.timeout(300) });
    expect(incomplete).toMatch(/^ended by /);
  });
});

describe("a command", () => {
  it("gets the input, or none", async () => {
    expect((await tryRun("cat", [], { input: "text\n" })).stdout).toBe("text\n");
    expect((await tryRun("cat", [])).stdout).toBe("");
  });

  it("may exit without reading its input", async () => {
    const result = await shell("echo done", { input: "x".repeat(1 << 22) });
    expect(result).toEqual({ exitCode: 0, stdout: "done\n", stderr: "", all: "done\n" });
  });

  it("gets additional variables and a working directory", async () => {
    const { stdout } = await shell('echo "$GREETING"; pwd; test -n "$PATH"', {
      env: { GREETING: "hello" },
      cwd: tmpdir(),
    });
    expect(stdout).toBe(`hello\n${tmpdir()}\n`);
  });
});

describe("run", () => {
  it("returns standard output", async () => {
    expect(await run("echo", ["text"])).toBe("text\n");
  });

  it("throws with the command, the exit code and its whole output", async () => {
    const failing = run("sh", ["-c", "echo on stdout; echo on stderr >&2; exit 2"]);
    await expect(failing).rejects.toThrow(/^`sh -c .*` failed with exit code 2: on stdout\non stderr$/);
  });
});

/** Steps as commands and standard input. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withFlags } from "../../../bootstrap/flags";
import { inputKeys, renderCommand, renderStdin } from "../../../bootstrap/render";
import type { Step } from "../../../bootstrap/step";
import { steps } from "../../../bootstrap/steps";
import { fill } from "../../../bootstrap/files";
import { spec } from "../../support/spec";

const ha = steps(spec({ controlPlaneCount: 3, zones: 3, apiServerArgs: { "event-ttl": "2h" } }));
const byId = (id: string): Step => ha.find((step) => step.id === id)!;
const material = (step: Step) => Object.fromEntries(inputKeys(step).map((key) => [key, `content of ${key}\n`]));

describe("a step's command", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "render-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("is valid bash at every level of quoting", () => {
    for (const step of ha.filter(({ machine }) => ["controller-0", "worker-0"].includes(machine.name))) {
      const outer = join(folder, "outer.sh");
      writeFileSync(outer, renderCommand(step));
      execFileSync("bash", ["-n", outer]);
      // what sudo's bash gets, and the text of the step in it
      writeFileSync(outer, renderCommand(step).replace(/^sudo -n bash -c /, "printf %s "));
      const command = execFileSync("bash", [outer], { encoding: "utf8" });
      execFileSync("bash", ["-n"], { input: command });
      const text = /cat >"\$text" <<'END_OF_STEP'\n([\s\S]*)\nEND_OF_STEP\n/.exec(command)?.[1];
      expect(text).toBeTruthy();
      execFileSync("bash", ["-n"], { input: text });
    }
  });

  it("shows every public file as it will be on the machine", () => {
    for (const step of ha) {
      const command = renderCommand(step);
      for (const { path, content } of step.files) {
        expect(command).toContain(path);
        if (!path.startsWith("/usr/local/lib/")) expect(command).toContain(content);
      }
    }
  });

  it("stays far below Linux's limit for one argument", () => {
    for (const step of ha) expect(renderCommand(step).length).toBeLessThan(40 * 1024);
  });

  it("contains none of the step's secrets", () => {
    for (const step of ha) {
      const secret = Object.fromEntries(inputKeys(step).map((key) => [key, `5ecret-${key}`]));
      renderStdin(step, secret);
      expect(renderCommand(step)).not.toContain("5ecret");
    }
  });

  it("is the same every time", () => {
    for (const step of ha) expect(renderCommand(step)).toBe(renderCommand({ ...step }));
  });
});

describe("a step's standard input", () => {
  it("has one line per file or fact, in base64", () => {
    const step = byId("kubelet@worker-0");
    const lines = renderStdin(step, material(step))
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" "));
    expect(lines.filter(([kind]) => kind === "fact").map(([, name]) => name)).toEqual([
      "INSTANCE_ID",
      "AVAILABILITY_ZONE",
    ]);
    const key = lines.find(([, path]) => path === "/etc/kubernetes/pki/kubelet-key.pem");
    expect(key?.slice(0, 4)).toEqual(["file", "/etc/kubernetes/pki/kubelet-key.pem", "0600", "root:root"]);
    expect(Buffer.from(key?.[4] ?? "", "base64").toString()).toBe("content of kubelet/worker-0/key\n");
  });

  it("reports which item is missing", () => {
    expect(() => renderStdin(byId("etcd@controller-0"), {})).toThrow("step etcd@controller-0 lacks etcd-ca/cert");
  });
});

describe("the flags of a unit", () => {
  const unit = "[Service]\nExecStart=/bin/server \\\n  --one=1 \\\n  --two=2\nRestart=always\n";

  it("are replaced in place, or added at the end", () => {
    expect(withFlags(unit, { one: "uno", three: "3" })).toBe(
      "[Service]\nExecStart=/bin/server \\\n  --one=uno \\\n  --two=2 \\\n  --three=3\nRestart=always\n",
    );
    expect(withFlags(unit, { two: "dos" })).toContain("  --two=dos\nRestart");
  });

  it("keep what systemd would expand, split or unquote", () => {
    const values = ["a b", "$HOME", "50%", 'say "so"', "it's", "^a\\.b$", "\\", "a;b"];
    const words = values.map((value) => /^ {2}(.*--one=.*) \\$/m.exec(withFlags(unit, { one: value }))?.[1]);
    expect(words).toEqual([
      '"--one=a b"',
      "--one=$$HOME",
      "--one=50%%",
      '"--one=say \\"so\\""',
      `"--one=it's"`,
      '"--one=^a\\\\.b$$"',
      '"--one=\\\\"',
      '"--one=a;b"',
    ]);
    expect(withFlags(withFlags(unit, { one: "a b" }), { one: "c" })).toBe(withFlags(unit, { one: "c" }));
  });

  it("reach the API server", () => {
    const file = byId("control-plane@controller-0").files.find(({ path }) => path.endsWith("kube-apiserver.service"));
    expect(file?.content).toMatch(/ \\\n {2}--event-ttl=2h\n/);
  });

  it("add admission plugins to the project's own", () => {
    const flags = { "enable-admission-plugins": "PodNodeSelector,NodeRestriction" };
    const step = steps(spec({ apiServerArgs: flags })).find(({ id }) => id === "control-plane@controller-0")!;
    const file = step.files.find(({ path }) => path.endsWith("kube-apiserver.service"));
    expect(file?.content.match(/--enable-admission-plugins=.*/g)).toEqual([
      "--enable-admission-plugins=NodeRestriction,EventRateLimit,PodNodeSelector \\",
    ]);
  });
});

describe("a template", () => {
  it("needs a value for each placeholder, and a placeholder for each value", () => {
    expect(fill("a {{B}} c", { B: "b" })).toBe("a b c");
    expect(() => fill("a {{B}} c", {})).toThrow("no value for {{B}}");
    expect(() => fill("a", { B: "b" })).toThrow("no placeholder for B");
  });
});

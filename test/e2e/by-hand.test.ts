/** The transcript, typed on machines that nothing but EC2 has touched: by SSH alone it must give the same cluster. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stackFiles } from "../../tools/outputs";
import { stackDir } from "../../tools/places";
import { eventually, Lab } from "../support/cluster";

const at = { stack: "test-by-hand", cloud: "test-by-hand", port: 5015, network: "10.8" };
const lab = new Lab(at, "local");
let pages: string;

beforeAll(async () => {
  pages = mkdtempSync(join(tmpdir(), "kfs-by-hand-"));
  await lab.make("up", { args: ["ARGS=--exclude=**remote:Command**"] });
});

afterAll(async () => {
  await lab.destroy();
  rmSync(pages, { recursive: true, force: true });
});

test("the machines are empty at first", async () => {
  expect((await lab.trySsh("controller-0", "command -v containerd etcd kubelet")).exitCode).not.toBe(0);
});

test("the transcript, typed by SSH alone, gives a cluster whose nodes are Ready and whose names resolve", async () => {
  await lab.make("by-hand");
  const text = readFileSync(join(stackDir(at.stack), "by-hand.md"), "utf8");
  expect(text).not.toMatch(/PRIVATE KEY/);
  const typed = [...text.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block).join("\n");
  mkdirSync(pages, { recursive: true });
  const result = await execa("bash", ["-s"], {
    cwd: pages,
    input: typed,
    env: { SSH_CONFIG: join(stackDir(at.stack), stackFiles.sshConfig) },
    all: true,
    reject: false,
  });
  expect(result.exitCode, result.all).toBe(0);
  expect(result.stdout).toContain("resolves kubernetes.default.svc.cluster.local to 10.32.0.1");
  await eventually("three nodes Ready", 60, async () => {
    const admin = ["--kubeconfig", join(pages, "pki/kubeconfig/admin"), "--server", `https://${at.network}.1.11:6443`];
    const nodes = await lab.kubectl(...admin, "get", "nodes", "--no-headers");
    return nodes.split("\n").filter((line) => / Ready /.test(line)).length === 3 ? { done: undefined } : { saw: nodes };
  });
});

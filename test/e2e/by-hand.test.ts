/** The transcript, typed over SSH on machines that only EC2 has touched: it must build the same cluster. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, expect, it } from "vitest";
import { stackFiles } from "../../tools/outputs";
import { stackDir } from "../../tools/places";
import { eventually } from "../support/cluster";
import { clusterFor, type Needs } from "../support/needs";

const pages = mkdtempSync(join(tmpdir(), "kfs-by-hand-"));
afterAll(() => rmSync(pages, { recursive: true, force: true }));

const needs: Needs = { preset: "local", up: ["ARGS=--exclude=**remote:Command**"] };
const cluster = clusterFor("by-hand", needs);
const { stack, network } = cluster.at;

it("starts with empty machines", async () => {
  expect((await cluster.trySsh("controller-0", "command -v containerd etcd kubelet")).exitCode).not.toBe(0);
});

it("builds a cluster with Ready nodes and working DNS when the transcript is typed over SSH", async () => {
  await cluster.make`by-hand`;
  const text = readFileSync(join(stackDir(stack), "by-hand.md"), "utf8");
  expect(text).not.toMatch(/PRIVATE KEY/);
  const typed = [...text.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block).join("\n");
  const result = await execa("bash", ["-s"], {
    cwd: pages,
    input: typed,
    env: { SSH_CONFIG: join(stackDir(stack), stackFiles.sshConfig) },
    all: true,
    reject: false,
  });
  expect(result.exitCode, result.all).toBe(0);
  expect(result.stdout).toContain("resolves kubernetes.default.svc.cluster.local to 10.32.0.1");
  await eventually("three nodes to be Ready", 60, async () => {
    const admin = ["--kubeconfig", join(pages, "pki/kubeconfig/admin"), "--server", `https://${network}.1.11:6443`];
    const nodes = await cluster.kubectl`${admin} get nodes --no-headers`;
    return nodes.split("\n").filter((line) => / Ready /.test(line)).length === 3 ? { done: undefined } : { saw: nodes };
  });
});

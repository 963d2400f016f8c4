/** Downloads cut or corrupted in transit: the machines notice, retry, and never run a file that fails its checksum. */
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { clusterFor, type Needs, places } from "../support/needs";
import { record } from "../support/results";

const { network } = places.downloads;
const mirrorPort = 8099;

/** What happens to a file's nth transfer to one machine; undefined leaves it alone. */
type Fault = (path: string, transfer: number) => "cut" | "corrupted" | undefined;
let fault: Fault;
const transfers = new Map<string, number>();

const neverRight: Fault = (path) => (path.endsWith("/kube-apiserver") ? "corrupted" : undefined);

/** The real mirror, behind a connection that damages transfers. */
const line = createServer((asked, answer) => {
  if (!asked.socket.remoteAddress?.includes(`${network}.`)) answer.destroy();
  else pass(asked, answer);
});

function pass(asked: IncomingMessage, answer: ServerResponse): void {
  const path = asked.url ?? "";
  const key = `${asked.socket.remoteAddress} ${path}`;
  const transfer = (transfers.get(key) ?? 0) + 1;
  transfers.set(key, transfer);
  const harm = fault(path, transfer);
  const source = request({ host: `${network}.0.1`, port: 8080, path }, (file) => {
    const length = Number(file.headers["content-length"]);
    let passed = 0;
    answer.writeHead(file.statusCode ?? 502, { "content-length": length });
    file.on("data", (chunk: Buffer) => {
      const middle = Math.floor(length / 2) - passed;
      passed += chunk.length;
      if (middle >= 0 && middle < chunk.length) {
        if (harm === "cut") return void answer.destroy();
        if (harm === "corrupted") chunk[middle] = (chunk[middle] ?? 0) ^ 1;
      }
      answer.write(chunk);
    });
    file.on("end", () => answer.end());
  });
  source.on("error", () => answer.destroy());
  source.end();
}

beforeAll(async () => {
  line.listen(mirrorPort);
  await once(line, "listening");
  // downloads begin with the machines, so the damage begins there too
  fault = neverRight;
});

afterAll(() => void line.close()); // after the cluster, whose hooks come next: Vitest runs these in reverse

const needs: Needs = {
  preset: "local",
  values: { mirror: `http://${network}.0.1:${mirrorPort}`, workerCount: 1 },
  up: ["STAGE=machines"],
};
const cluster = clusterFor("downloads", needs);

beforeEach(() => transfers.clear());

it("rejects by name a file whose SHA-256 never matches, and does not run it", async () => {
  const { all: output } = await cluster.tryMake`up STAGE=control-plane`;
  expect(output).toMatch(/kube-apiserver: downloaded three times, never with the published SHA-256 [0-9a-f]{64}/);
  expect((await cluster.trySsh("controller-0", "systemctl is-active kube-apiserver")).exitCode).not.toBe(0);
  record(
    "kube-apiserver corrupted in every download",
    "rejected by its SHA-256; `make up` reports it and continues when run again",
  );
});

it("downloads again, in the next `make up`, what was cut or corrupted once", async () => {
  const firstTransfer: Record<string, "cut" | "corrupted"> = {
    "kube-apiserver": "cut",
    "kube-scheduler": "corrupted",
    kubelet: "cut",
    "kube-proxy": "corrupted",
    "kube-proxy.sha256": "corrupted",
  };
  fault = (path, transfer) => (transfer === 1 ? firstTransfer[path.split("/").pop() ?? ""] : undefined);
  // the first test left files on the machines: they have to be downloaded again
  for (const machine of ["controller-0", "worker-0"])
    await cluster.ssh(machine, "sudo rm -rf /var/lib/kubernetes-from-scratch/releases/dl.k8s.io");
  await cluster.make`up`;
  const nodes = (await cluster.kubectl`get nodes --no-headers`).split("\n");
  expect(nodes.filter((node) => / Ready /.test(node))).toHaveLength(2);
  const count = (name: string): number =>
    Math.max(0, ...[...transfers].flatMap(([key, times]) => (key.endsWith(`/${name}`) ? [times] : [])));
  for (const name of Object.keys(firstTransfer))
    expect(count(name), `${name} was transferred again`).toBeGreaterThan(1);
  expect(await cluster.script("controller-0", "check-releases.sh")).toMatch(/kube-apiserver: OK/);
  record(
    "downloads cut and corrupted halfway",
    [...transfers.values()].reduce((sum, times) => sum + times - 1, 0) + " transfers repeated, 2 nodes Ready",
  );
});

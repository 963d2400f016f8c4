/** Another encryptionKey on a living control plane: every Secret stays readable, and in the end only the new key is left. */
import { randomBytes } from "node:crypto";
import { beforeAll, expect, it } from "vitest";
import { eventually } from "../support/cluster";
import { etcdctl, healthy } from "../support/etcd";
import { clusterFor, type Needs } from "../support/needs";
import { record } from "../support/results";
import { whileWriting } from "../support/writing";

const needs: Needs = { preset: "local-ha", values: { workerCount: 1 } };
const cluster = clusterFor("encryption", needs);
const controllers = ["controller-0", "controller-1", "controller-2"];
const newKey = (): string => randomBytes(32).toString("base64");

/** Lines of "name secret": the keys with which each API server is configured. */
const keys = async (machine: string): Promise<string[]> =>
  (
    await cluster.ssh(
      machine,
      `sudo sed -nE 's/^ +(- name|secret): //p' /etc/kubernetes/encryption-config.yaml | paste -d ' ' - -`,
    )
  ).split("\n");

/** What stands in front of the Secrets in etcd, each once. */
const prefixes = async (): Promise<string> =>
  cluster.ssh(
    "controller-0",
    `${etcdctl} get --prefix /registry/secrets/ | grep -a -A 1 ^/registry/secrets/ | grep -a -oE '^k8s[^:]*:[^:]*:[^:]*:[^:]*:[^:]*' | sort -u`,
  );

const secrets = Array.from({ length: 30 }, (_, index) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: `secret-${index}`, namespace: index % 2 ? "default" : "kube-system" },
  immutable: index % 3 === 0,
  stringData: { number: String(index), random: randomBytes(1000).toString("base64") },
}));
const stored = async (): Promise<string[]> => {
  const list = JSON.parse(await cluster.kubectl`get secrets -A -o json`) as { items: { data: { random: string } }[] };
  return list.items.map(({ data }) => data.random).sort();
};
const expected = secrets.map(({ stringData }) => btoa(stringData.random)).sort();

/** Every API server has only this key, and it encrypts every Secret. */
async function expectOnly(secret: string): Promise<void> {
  const all = await Promise.all(controllers.map(keys));
  for (const configured of all) expect(configured).toEqual([expect.stringContaining(` ${secret}`)]);
  const [name] = all[0]![0]!.split(" ");
  expect(await prefixes()).toBe(`k8s:enc:secretbox:v1:${name}`);
  expect(await stored()).toEqual(expected);
}

let original: string;
beforeAll(async () => {
  await cluster.apply(JSON.stringify({ apiVersion: "v1", kind: "List", items: secrets }));
  original = (await keys("controller-0"))[0]!.split(" ")[1]!;
  await expectOnly(original);
});

it("a change while a client writes and reads Secrets", async () => {
  const key = newKey();
  await cluster.configureSecret("encryptionKey", key);
  const start = Date.now();
  const report = await whileWriting(cluster, async () => void (await cluster.make`up`), "secrets");
  const seconds = Math.round((Date.now() - start) / 1000);
  expect(report).toMatchObject({ lost: [], givenUp: 0, failedAttempts: 0 });
  await expectOnly(key);
  record(
    "another `encryptionKey`, every Secret rewritten",
    `${report.acknowledged} writes of Secrets, ${report.lost.length} lost, longest gap ${report.longestGap.toFixed(1)} s, ${seconds} s`,
  );
  expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
});

it("a change that is killed, while a machine reboots", async () => {
  const key = newKey();
  await cluster.configureSecret("encryptionKey", key);
  const up = cluster.start`up`;
  await eventually("a machine that has both keys", 120, async () => {
    const all = (await Promise.all(controllers.map(keys))).map(({ length }) => length);
    return all.some((length) => length === 2) ? { done: undefined } : { saw: all.join() };
  });
  process.kill(-up.pid!, "SIGKILL");
  await up;
  await cluster.trySsh("controller-1", "sudo systemctl reboot");
  await cluster.make`up`;
  await healthy(cluster);
  await expectOnly(key);
});

it("a change back to the stack's own key, while a machine is lost for good", async () => {
  cluster.configure({ encryptionKey: undefined });
  await cluster.cloud`terminate controller-2`;
  await cluster.make`up`;
  await healthy(cluster);
  await expectOnly(original);
});

it("a change while machines join", async () => {
  cluster.configure({ controlPlaneCount: 1 });
  await cluster.make`up`;
  const key = newKey();
  await cluster.configureSecret("encryptionKey", key);
  cluster.configure({ controlPlaneCount: 3 });
  await cluster.make`up`;
  await healthy(cluster);
  await expectOnly(key);
});

/** Patch upgrades of Kubernetes and etcd in place, with kube-proxy in nftables mode. */
import { expect, it } from "vitest";
import { clusterFor, type Needs } from "../support/needs";
import { record } from "../support/results";

const needs: Needs = {
  preset: "local",
  values: { kubernetesVersion: "v1.36.1", etcdVersion: "v3.6.15", kubeProxyMode: "nftables", workerCount: 1 },
};
const cluster = clusterFor("upgrade", needs);

const versions = (): Promise<string> =>
  cluster.kubectl`get nodes -o jsonpath={.items[*].status.nodeInfo.kubeletVersion}`;

it("serves Services with nftables rules", async () => {
  expect(await cluster.ssh("worker-0", "sudo nft list tables")).toContain("table ip kube-proxy");
  expect(await cluster.kubectl`get --raw /readyz`).toBe("ok");
});

it("upgrades Kubernetes v1.36.1 -> v1.36.3 and etcd v3.6.15 -> v3.6.16 in place", async () => {
  expect(await versions()).toBe("v1.36.1 v1.36.1");
  await cluster.kubectl`create configmap kept --from-literal=a=b`;
  cluster.configure({ kubernetesVersion: "v1.36.3", etcdVersion: "v3.6.16" });
  const diff = await cluster.make`preview ARGS=--diff`;
  expect(diff).toMatch(/v1\.36\.3\/bin\/linux/);
  expect(diff).not.toMatch(/PRIVATE KEY/);
  const start = Date.now();
  await cluster.make`up`;
  expect(await versions()).toBe("v1.36.3 v1.36.3");
  expect(await cluster.kubectl`version`).toContain("Server Version: v1.36.3");
  expect(await cluster.ssh("controller-0", "etcd --version")).toContain("3.6.16");
  expect(await cluster.kubectl`get configmap kept -o jsonpath={.data.a}`).toBe("b");
  expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
  record(
    "Kubernetes v1.36.1 -> v1.36.3, etcd v3.6.15 -> v3.6.16",
    `${Math.round((Date.now() - start) / 1000)} s, data kept`,
  );
});

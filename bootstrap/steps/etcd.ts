/** etcd: a member on every control-plane machine. */
import type { MaterialKey } from "../../cluster/material";
import type { Controller } from "../../cluster/shape";
import type { ClusterSpec } from "../../cluster/spec";
import { quote } from "../../lib/quote";
import { asset, publicFile, type SecretFile, unitFile } from "../files";
import { controllerLines } from "../parts";
import { libraryDirectory } from "../places";
import { defineStep, everyController } from "../step";
import { machine } from "./machine";

/** A file in /etc/etcd, with the name that the series gives it, readable only by the user etcd. */
const etcdFile = (name: string, source: MaterialKey): SecretFile => ({
  path: `/etc/etcd/${name}.pem`,
  mode: "0600",
  owner: "etcd:etcd",
  source,
});

/** Shell variables for restore-etcd.sh. */
const clusterFile = (spec: ClusterSpec, { name, privateIp }: Controller): string =>
  Object.entries({
    NODE_NAME: name,
    PRIVATE_IP: privateIp,
    CLUSTER_NAME: spec.clusterName,
    CONTROLLERS: controllerLines(spec),
  })
    .map(([variable, value]) => `${variable}=${quote(value)}\n`)
    .join("");

export const etcd = defineStep({
  name: "etcd",
  title: "etcd",
  stage: "etcd",
  on: everyController,
  work: (spec, controller) => ({
    variables: { ETCD_VERSION: spec.etcdVersion, CLUSTER_NAME: spec.clusterName, CONTROLLERS: controllerLines(spec) },
    releases: ["etcd"],
    files: [
      publicFile(`${libraryDirectory}/etcd-data.sh`, asset("scripts/lib/etcd-data.sh")),
      publicFile(`${libraryDirectory}/snapshot-etcd.sh`, asset("scripts/tools/snapshot-etcd.sh"), "0755"),
      publicFile("/etc/kubernetes-from-scratch/etcd-cluster", clusterFile(spec, controller)),
      unitFile("etcd-snapshot.service"),
      unitFile("etcd-snapshot.timer"),
      unitFile("etcd.service", {
        NODE_NAME: controller.name,
        PRIVATE_IP: controller.privateIp,
        CLUSTER_NAME: spec.clusterName,
      }),
    ],
    secrets: [
      etcdFile("etcd-ca", "etcd-ca/cert"),
      etcdFile("etcd", `etcd/${controller.name}/cert`),
      etcdFile("etcd-key", `etcd/${controller.name}/key`),
    ],
    after: [machine.at(controller)],
  }),
});

/** etcd: a member on every control-plane machine. */
import type { MaterialKey } from "../../cluster/material";
import { type SecretFile, unitFile } from "../files";
import { controllerLines } from "../parts";
import { defineStep, everyController } from "../step";
import { machine } from "./machine";

/** A file in /etc/etcd, with the name that the series gives it, readable only by the user etcd. */
const etcdFile = (name: string, source: MaterialKey): SecretFile => ({
  path: `/etc/etcd/${name}.pem`,
  mode: "0600",
  owner: "etcd:etcd",
  source,
});

export const etcd = defineStep({
  name: "etcd",
  title: "etcd",
  stage: "etcd",
  on: everyController,
  work: (spec, controller) => ({
    variables: { ETCD_VERSION: spec.etcdVersion, CONTROLLERS: controllerLines(spec) },
    releases: ["etcd"],
    files: [
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

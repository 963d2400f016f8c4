/** etcd, one stacked member on every control-plane machine. */
import type { ClusterSpec, Machine } from "../../cluster/spec";
import { commonVariables, controllerLines, releaseLines } from "./machine";
import type { SecretFile, Step } from "../step";
import { asset, unitFile } from "../files";

/** A file under /etc/etcd, by the series' name for it, for the user etcd alone. */
const etcdFile = (name: string, source: string): SecretFile => ({
  path: `/etc/etcd/${name}.pem`,
  mode: "0600",
  owner: "etcd:etcd",
  source,
});

export function etcdStep(spec: ClusterSpec, machine: Machine): Step {
  return {
    name: "etcd",
    stage: "etcd",
    machine,
    variables: {
      ...commonVariables(machine),
      ETCD_VERSION: spec.etcdVersion,
      CONTROLLERS: controllerLines(spec),
      MIRROR: spec.mirror ?? "",
      RELEASES: releaseLines(spec, machine, ["etcd"]),
    },
    facts: {},
    files: [
      unitFile("etcd.service", { NODE_NAME: machine.name, PRIVATE_IP: machine.privateIp, CLUSTER_NAME: spec.name }),
    ],
    secrets: [
      etcdFile("etcd-ca", "etcd-ca/cert"),
      etcdFile("etcd", `etcd/${machine.name}/cert`),
      etcdFile("etcd-key", `etcd/${machine.name}/key`),
    ],
    script: asset("scripts/steps/etcd.sh"),
    after: [`machine@${machine.name}`],
  };
}

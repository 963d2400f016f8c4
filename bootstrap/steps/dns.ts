/** CoreDNS: names for Services, and the proof that they resolve. */
import type { ClusterSpec, Machine } from "../../cluster/spec";
import { commonVariables } from "./machine";
import type { Step } from "../step";
import { adminKubeconfig, asset, fill, publicFile } from "../files";
import { images } from "../../cluster/versions";

/** Runs on one control-plane machine for all. */
export function dnsStep(spec: ClusterSpec, machine: Machine): Step {
  const manifest = fill(asset("manifests/coredns.yaml"), {
    CLUSTER_DNS: spec.clusterDns,
    COREDNS_IMAGE: images.coredns,
    REPLICAS: "2",
  });
  return {
    name: "dns",
    stage: "dns",
    machine,
    variables: {
      ...commonVariables(machine),
      CLUSTER_DNS: spec.clusterDns,
      KUBERNETES_SERVICE_IP: spec.kubernetesServiceIp,
    },
    facts: {},
    files: [publicFile("/etc/kubernetes/coredns.yaml", manifest)],
    secrets: [adminKubeconfig("dns")],
    script: asset("scripts/steps/dns.sh"),
    // not after the nodes: pods wait for them by themselves
    after: [`rbac@${machine.name}`],
  };
}

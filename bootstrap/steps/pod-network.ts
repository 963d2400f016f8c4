/** The pod network by hand: a bridge on every node, addresses from host-local, routes by the VPC. */
import { cidr, nthAddress } from "../../cluster/cidr";
import type { ClusterSpec, Machine } from "../../cluster/spec";
import { commonVariables } from "./machine";
import type { Step } from "../step";
import { asset, fill, publicFile, unitFile } from "../files";

export function podNetworkStep(spec: ClusterSpec, machine: Machine): Step {
  const { name, podCidr } = machine;
  if (podCidr === undefined) throw new Error(`${name} has no slice of the pod network`);
  return {
    name: "pod-network",
    stage: "network",
    machine,
    variables: { ...commonVariables(machine), NODE_POD_CIDR: podCidr, API_NAME: spec.apiName },
    facts: {},
    files: [
      publicFile(
        "/etc/kubernetes/pod-network.nft",
        fill(asset("configs/pod-network.nft"), {
          POD_CIDR: spec.podCidr,
          NODE_POD_CIDR: podCidr,
          NODE_POD_GATEWAY: nthAddress(cidr(podCidr), 1),
        }),
      ),
      unitFile("pod-network.service"),
      publicFile("/etc/cni/net.d/10-bridge.conf", fill(asset("configs/10-bridge.conf"), { NODE_POD_CIDR: podCidr })),
      publicFile("/etc/cni/net.d/99-loopback.conf", asset("configs/99-loopback.conf")),
    ],
    secrets: [],
    script: asset("scripts/steps/pod-network.sh"),
    after: [`worker@${name}`],
  };
}

/** The pod network by hand: a bridge on every node, addresses from host-local, routes in the VPC. */
import { cidr, nthAddress } from "../../cluster/cidr";
import { fileFrom, unitFile } from "../files";
import { defineStep, everyNode } from "../step";
import { kubelet } from "./kubelet";

export const podNetwork = defineStep({
  name: "pod-network",
  title: "The pod network",
  stage: "network",
  on: everyNode,
  work: (spec, node) => ({
    variables: { NODE_POD_CIDR: node.podCidr, API_NAME: spec.apiName },
    files: [
      fileFrom("configs/pod-network.nft", "/etc/kubernetes/pod-network.nft", {
        VPC_CIDR: spec.vpcCidr,
        POD_CIDR: spec.podCidr,
        NODE_POD_CIDR: node.podCidr,
        NODE_POD_GATEWAY: nthAddress(cidr(node.podCidr), 1),
      }),
      unitFile("pod-network.service"),
      fileFrom("configs/10-bridge.conflist", "/etc/cni/net.d/10-bridge.conflist", { NODE_POD_CIDR: node.podCidr }),
      fileFrom("configs/99-loopback.conf", "/etc/cni/net.d/99-loopback.conf"),
    ],
    after: [kubelet.at(node)],
  }),
});

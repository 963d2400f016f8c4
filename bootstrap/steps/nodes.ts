/** The nodes as a whole: all of them are registered and labelled, and Ready if the stage includes the pod network. */
import { fileFrom } from "../files";
import { nodesLibrary, reaches } from "../parts";
import { defineStep, onceForTheCluster } from "../step";
import { departures } from "./departures";
import { kubelet } from "./kubelet";
import { podNetwork } from "./pod-network";
import { rbac } from "./rbac";

export const nodes = defineStep({
  name: "nodes",
  title: "The nodes, as the API lists them",
  stage: "workers",
  on: onceForTheCluster,
  work: (spec, controller) => {
    const hasNetwork = reaches(spec, "network");
    return {
      variables: {
        NODES: spec.nodes
          .map(({ name, role, podCidr, instanceType }) => `${name} ${role} ${podCidr} ${instanceType}`)
          .join("\n"),
        NODE_LABELS: spec.nodes.map(({ name, labels }) => `${name} ${JSON.stringify(labels).slice(1, -1)}`).join("\n"),
        NODE_TAINTS: spec.nodes
          .flatMap(({ name, taints }) => taints.map(({ key, value, effect }) => `${name} ${key}=${value}:${effect}`))
          .join("\n"),
        NETWORK: hasNetwork ? "yes" : "no",
      },
      files: [
        nodesLibrary(),
        ...(hasNetwork ? [fileFrom("manifests/network-policy.yaml", "/etc/kubernetes/network-policy.yaml")] : []),
      ],
      admin: "admin",
      after: [
        rbac.at(controller),
        departures.at(controller),
        ...spec.nodes.map(hasNetwork ? podNetwork.at : kubelet.at),
      ],
    };
  },
});

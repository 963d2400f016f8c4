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
        WORKER_LABELS: Object.entries(spec.nodeLabels)
          .map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`)
          .join(", "),
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

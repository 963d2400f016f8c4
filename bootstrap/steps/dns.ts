/** CoreDNS: names for Services, and proof that they resolve. */
import { repels } from "../../cluster/config/rules";
import { images } from "../../cluster/versions";
import { fileFrom } from "../files";
import { defineStep, onceForTheCluster } from "../step";
import { podNetwork } from "./pod-network";
import { rbac } from "./rbac";

/**
 * One pod for each worker, as far as that makes sense: more of them would only watch the same objects. There are never two on
 * a node, so that not more are wanted than nodes accept them.
 */
export const dnsReplicas = (workers: number, nodes: number): number => Math.min(Math.max(workers, 2), 10, nodes);

export const dns = defineStep({
  name: "dns",
  title: "CoreDNS",
  stage: "dns",
  on: onceForTheCluster,
  work: (spec, controller) => ({
    variables: { CLUSTER_DNS: spec.clusterDns, KUBERNETES_SERVICE_IP: spec.kubernetesServiceIp },
    files: [
      fileFrom("manifests/coredns.yaml", "/etc/kubernetes/coredns.yaml", {
        CLUSTER_DNS: spec.clusterDns,
        COREDNS_IMAGE: images.coredns,
        REPLICAS: String(dnsReplicas(spec.workerCount, spec.nodes.filter(({ taints }) => !repels(taints)).length)),
      }),
    ],
    admin: "admin",
    // after all nodes, so that the scheduler can choose among them
    after: [rbac.at(controller), ...spec.nodes.map(podNetwork.at)],
  }),
});

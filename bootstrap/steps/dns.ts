/** CoreDNS: names for Services, and proof that they resolve. */
import { images } from "../../cluster/versions";
import { fileFrom } from "../files";
import { defineStep, onceForTheCluster } from "../step";
import { podNetwork } from "./pod-network";
import { rbac } from "./rbac";

/** One pod for each worker, as far as that makes sense: more of them would only watch the same objects. */
export const dnsReplicas = (workers: number): number => Math.min(Math.max(workers, 2), 10);

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
        REPLICAS: String(dnsReplicas(spec.workerCount)),
      }),
    ],
    admin: "admin",
    // after all nodes, so that the scheduler can choose among them
    after: [rbac.at(controller), ...spec.nodes.map(podNetwork.at)],
  }),
});

/** CoreDNS: names for Services, and proof that they resolve. */
import { images } from "../../cluster/versions";
import { fileFrom } from "../files";
import { defineStep, onceForTheCluster } from "../step";
import { rbac } from "./rbac";

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
      }),
    ],
    admin: true,
    // not after the nodes, because the pods wait for them anyway
    after: [rbac.at(controller)],
  }),
});

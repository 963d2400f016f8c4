/** kubelet and kube-proxy: the machine becomes a node. Control-plane machines are nodes as well, with a taint. */
import { gatesOf } from "../../cluster/config/feature-gates";
import type { Node } from "../../cluster/shape";
import type { ClusterSpec } from "../../cluster/spec";
import { asset, fileFrom, kubeconfigFile, pkiFile, pkiPair, publicFile, type StepFile, unitFile } from "../files";
import { tlsCipherSuites } from "../parts";
import { libraryDirectory } from "../places";
import { defineStep, everyNode } from "../step";
import { containerRuntime } from "./container-runtime";

/** Only pods that tolerate it are scheduled on the control plane. */
const controlPlaneTaint = { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" };

/** The part of the kubelet's configuration that is known in advance; the script adds the machine's facts as a drop-in. */
export const kubeletConfig = (spec: ClusterSpec, { role, taints }: Node): StepFile =>
  fileFrom(
    "configs/kubelet.yaml",
    "/var/lib/kubelet/config.yaml",
    {
      TLS_CIPHER_SUITES: JSON.stringify(tlsCipherSuites),
      CLUSTER_DNS: spec.clusterDns,
      TAINTS: JSON.stringify([...(role === "control-plane" ? [controlPlaneTaint] : []), ...taints]),
      FEATURE_GATES: JSON.stringify(gatesOf("kubelet", spec.featureGates)),
      KUBE_RESERVED: JSON.stringify(spec.kubeReserved),
      SYSTEM_RESERVED: JSON.stringify(spec.systemReserved),
    },
    "0600",
  );

/** Fields of the user's, in a drop-in that is read after everything else. */
const kubeletSettings = (spec: ClusterSpec): StepFile =>
  publicFile(
    "/var/lib/kubelet/config.d/20-settings.conf",
    `${JSON.stringify({ apiVersion: "kubelet.config.k8s.io/v1beta1", kind: "KubeletConfiguration", ...spec.kubeletConfig })}\n`,
    "0600",
  );

export const kubelet = defineStep({
  name: "kubelet",
  formerName: "worker",
  title: "kubelet and kube-proxy",
  stage: "workers",
  on: everyNode,
  work: (spec, node) => ({
    variables: { KUBERNETES_VERSION: spec.kubernetesVersion, API_NAME: spec.apiName },
    releases: ["kubelet", "kube-proxy"],
    facts: { INSTANCE_ID: `instance/${node.name}/id`, AVAILABILITY_ZONE: `instance/${node.name}/zone` },
    files: [
      kubeletConfig(spec, node),
      kubeletSettings(spec),
      publicFile(`${libraryDirectory}/forget-policies.sh`, asset("scripts/tools/forget-policies.sh"), "0755"),
      unitFile("kubelet.service", { NODE_NAME: node.name, PRIVATE_IP: node.privateIp }),
      fileFrom(
        "configs/kube-proxy.yaml",
        "/var/lib/kube-proxy/config.yaml",
        {
          NODE_NAME: node.name,
          KUBE_PROXY_MODE: spec.kubeProxyMode,
          POD_CIDR: spec.podCidr,
          FEATURE_GATES: JSON.stringify(gatesOf("kube-proxy", spec.featureGates)),
        },
        "0600",
      ),
      unitFile("kube-proxy.service"),
      publicFile(`${libraryDirectory}/forget-ended-pods.py`, asset("scripts/tools/forget-ended-pods.py"), "0755"),
      unitFile("ended-pods.service", { API_NAME: spec.apiName, NODE_NAME: node.name }),
    ],
    secrets: [
      pkiFile("kubernetes-ca", "kubernetes-ca/cert"),
      ...pkiPair("kubelet", `kubelet/${node.name}`),
      kubeconfigFile("kubelet", `kubeconfig/kubelet/${node.name}`),
      kubeconfigFile("proxy", "kubeconfig/kube-proxy"),
    ],
    // not after the control plane, because the script prepares everything else first and then waits for the API server
    after: [containerRuntime.at(node)],
  }),
});

/** kubelet and kube-proxy: a machine becomes a node. Control-plane machines are nodes as well, with a taint. */
import { stringify } from "yaml";
import type { ClusterSpec, Machine } from "../../cluster/spec";
import { tlsCipherSuites } from "./control-plane";
import { commonVariables, releaseLines } from "./machine";
import type { Step } from "../step";
import { asset, fill, kubeconfigFile, pkiFile, pkiPair, publicFile, unitFile } from "../files";

/** No pod that does not tolerate it is scheduled on the control plane. */
const controlPlaneTaint = { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" } as const;

/**
 * The kubelet's configuration as far as it is known beforehand; what the machine finds out about itself is in a drop-in.
 * https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
 */
export function kubeletConfig(spec: ClusterSpec, machine: Machine): string {
  return stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: "0.0.0.0",
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: "/etc/kubernetes/pki/kubernetes-ca.pem" },
    },
    authorization: { mode: "Webhook" },
    readOnlyPort: 0,
    tlsCertFile: "/etc/kubernetes/pki/kubelet.pem",
    tlsPrivateKeyFile: "/etc/kubernetes/pki/kubelet-key.pem",
    tlsMinVersion: "VersionTLS12",
    tlsCipherSuites: [...tlsCipherSuites],
    rotateCertificates: true,
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    cgroupDriver: "systemd",
    clusterDNS: [spec.clusterDns],
    clusterDomain: "cluster.local",
    registerNode: true,
    ...(machine.role === "control-plane" ? { registerWithTaints: [controlPlaneTaint] } : {}),
    kubeReserved: { ...spec.kubeReserved },
    systemReserved: { ...spec.systemReserved },
    enforceNodeAllocatable: ["pods"],
    podPidsLimit: 4096,
    seccompDefault: true,
    makeIPTablesUtilChains: true,
    eventRecordQPS: 50,
    streamingConnectionIdleTimeout: "1h",
    shutdownGracePeriod: "45s",
    shutdownGracePeriodCriticalPods: "30s",
    serializeImagePulls: false,
    maxParallelImagePulls: 3,
  });
}

export function workerStep(spec: ClusterSpec, machine: Machine): Step {
  const { name } = machine;
  return {
    name: "worker",
    stage: "workers",
    machine,
    variables: {
      ...commonVariables(machine),
      KUBERNETES_VERSION: spec.kubernetesVersion,
      API_NAME: spec.apiName,
      MIRROR: spec.mirror ?? "",
      RELEASES: releaseLines(spec, machine, ["kubelet", "kube-proxy"]),
    },
    facts: { INSTANCE_ID: "instance/id", AVAILABILITY_ZONE: "instance/zone" },
    files: [
      publicFile("/var/lib/kubelet/config.yaml", kubeletConfig(spec, machine), "0600"),
      unitFile("kubelet.service", { NODE_NAME: name, PRIVATE_IP: machine.privateIp }),
      publicFile(
        "/var/lib/kube-proxy/config.yaml",
        fill(asset("configs/kube-proxy.yaml"), {
          NODE_NAME: name,
          KUBE_PROXY_MODE: spec.kubeProxyMode,
          POD_CIDR: spec.podCidr,
        }),
        "0600",
      ),
      unitFile("kube-proxy.service"),
    ],
    secrets: [
      pkiFile("kubernetes-ca", "kubernetes-ca/cert"),
      ...pkiPair("kubelet", `kubelet/${name}`),
      kubeconfigFile("kubelet", `kubelet/${name}`),
      kubeconfigFile("proxy", `kube-proxy/${name}`),
    ],
    script: asset("scripts/steps/kubelet.sh"),
    // not after the control plane: the script waits for the API server itself, with everything else in place
    after: [`container-runtime@${name}`],
  };
}

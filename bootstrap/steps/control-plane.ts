/** kube-apiserver, kube-controller-manager, kube-scheduler; and HAProxy where the stack has it in front of them. */
import type { ClusterSpec, Machine } from "../../cluster/spec";
import { commonVariables, controllerLines, releaseLines } from "./machine";
import type { Step } from "../step";
import { adminKubeconfig, asset, fill, kubeconfigFile, pkiFile, pkiPair, publicFile, unitFile } from "../files";

/** AEAD ciphers with forward secrecy; those of TLS 1.3 need no naming. https://ssl-config.mozilla.org */
export const tlsCipherSuites = [
  "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
  "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
] as const;

/**
 * How Secrets are kept in etcd: encrypted by secretbox; what is still plain is read, and encrypted when written next.
 * https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/
 * @param key 32 random bytes in base64.
 */
export const encryptionConfig = (key: string): string => `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - secretbox:
          keys:
            - name: key1
              secret: ${key}
      - identity: {}
`;

/** Sets flags of a unit's ExecStart: in their place where the unit has them, at the end otherwise. */
export function withFlags(unit: string, flags: Readonly<Record<string, string>>): string {
  return Object.entries(flags).reduce((text, [name, value]) => {
    if (/[\s"'\\$%]/.test(value))
      throw new Error(`the value of --${name} has a character that a unit file would not keep: ${value}`);
    const line = new RegExp(`^  --${name}=.*?( \\\\)?$`, "m");
    if (line.test(text)) return text.replace(line, (_, more?: string) => `  --${name}=${value}${more ?? ""}`);
    const lines = text.split("\n");
    const last = lines.findLastIndex((candidate) => candidate.startsWith("  --"));
    lines.splice(last, 1, `${lines[last]} \\`, `  --${name}=${value}`);
    return lines.join("\n");
  }, unit);
}

export function controlPlaneStep(spec: ClusterSpec, machine: Machine): Step {
  const { name } = machine;
  const apiServer = unitFile("kube-apiserver.service", {
    PRIVATE_IP: machine.privateIp,
    ETCD_SERVERS: spec.controllers.map(({ privateIp }) => `https://${privateIp}:2379`).join(","),
    SERVICE_CIDR: spec.serviceCidr,
    TLS_CIPHER_SUITES: tlsCipherSuites.join(","),
    // with others behind a load balancer: time in which it learns not to come here, while requests are still served
    SHUTDOWN_DELAY: spec.controllers.length > 1 ? "5s" : "0s",
  });
  return {
    name: "control-plane",
    stage: "control-plane",
    machine,
    variables: {
      ...commonVariables(machine),
      KUBERNETES_VERSION: spec.kubernetesVersion,
      CONTROLLERS: controllerLines(spec),
      MIRROR: spec.mirror ?? "",
      RELEASES: releaseLines(spec, machine, ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"]),
    },
    facts: {},
    files: [
      { ...apiServer, content: withFlags(apiServer.content, spec.apiServerArgs) },
      unitFile("kube-controller-manager.service", {
        CLUSTER_NAME: spec.name,
        POD_CIDR: spec.podCidr,
        SERVICE_CIDR: spec.serviceCidr,
      }),
      unitFile("kube-scheduler.service"),
      ...["authentication-config", "admission-config", "audit-policy", "scheduler"].map((file) =>
        publicFile(`/etc/kubernetes/${file}.yaml`, asset(`configs/${file}.yaml`), "0600"),
      ),
    ],
    secrets: [
      pkiFile("kubernetes-ca", "kubernetes-ca/cert"),
      pkiFile("client-ca", "client-ca-bundle"),
      pkiFile("front-proxy-ca", "front-proxy-ca/cert"),
      ...pkiPair("cluster-signing", "cluster-signing"),
      pkiFile("service-account", "service-account/public"),
      pkiFile("service-account-key", "service-account/key"),
      ...["kube-apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "front-proxy-client"].flatMap((pair) =>
        pkiPair(pair, `${pair}/${name}`),
      ),
      kubeconfigFile("controller-manager", `kube-controller-manager/${name}`),
      kubeconfigFile("scheduler", `kube-scheduler/${name}`),
      { path: "/etc/kubernetes/encryption-config.yaml", mode: "0600", source: "encryption-config" },
    ],
    script: asset("scripts/steps/control-plane.sh"),
    after: [`etcd@${name}`],
  };
}

/** The API server's rights on kubelets; runs on one control-plane machine for all. */
export function rbacStep(machine: Machine): Step {
  return {
    name: "rbac",
    stage: "control-plane",
    machine,
    variables: commonVariables(machine),
    facts: {},
    files: [publicFile("/etc/kubernetes/rbac.yaml", asset("manifests/rbac.yaml"))],
    secrets: [adminKubeconfig("rbac")],
    script: asset("scripts/steps/rbac.sh"),
    after: [`control-plane@${machine.name}`],
  };
}

/** HAProxy on the balancer's own machine. */
export function balancerStep(spec: ClusterSpec, machine: Machine): Step {
  const servers = spec.controllers.map(({ name, privateIp }) => `  server ${name} ${privateIp}:6443`).join("\n");
  return {
    name: "balancer",
    stage: "control-plane",
    machine,
    variables: commonVariables(machine),
    facts: {},
    files: [publicFile("/etc/haproxy/kubernetes.cfg", fill(asset("configs/haproxy.cfg"), { SERVERS: servers }))],
    secrets: [{ path: "/etc/haproxy/kubernetes-ca.pem", mode: "0644", source: "kubernetes-ca/cert" }],
    script: asset("scripts/steps/balancer.sh"),
    after: [`machine@${machine.name}`],
  };
}

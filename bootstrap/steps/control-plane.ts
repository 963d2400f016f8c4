/** kube-apiserver, kube-controller-manager and kube-scheduler. */
import { enabledPlugins } from "../../cluster/admission";
import { gatesOf } from "../../cluster/config/feature-gates";
import { type Controller, serviceAccountIssuer } from "../../cluster/shape";
import type { ClusterSpec } from "../../cluster/spec";
import { asset, fileFrom, kubeconfigFile, pkiFile, pkiPair, publicFile, type StepFile, unitFile } from "../files";
import { withFlags } from "../flags";
import { libraryDirectory, runtimeDirectory } from "../places";
import { controllerLines, tlsCipherSuites } from "../parts";
import { defineStep, everyController } from "../step";
import { etcd } from "./etcd";

function apiServerUnit(spec: ClusterSpec, controller: Controller): StepFile {
  const { "enable-admission-plugins": plugins, ...flags } = spec.apiServerArgs;
  const unit = unitFile("kube-apiserver.service", {
    PRIVATE_IP: controller.privateIp,
    ETCD_SERVERS: spec.controllers.map(({ privateIp }) => `https://${privateIp}:2379`).join(","),
    SERVICE_CIDR: spec.serviceCidr,
    SERVICE_ACCOUNT_ISSUER: serviceAccountIssuer,
    ADMISSION_PLUGINS: enabledPlugins(plugins),
    TLS_CIPHER_SUITES: tlsCipherSuites.join(","),
    // After a shutdown begins, requests are still served for this long, so that the load balancer can notice it first.
    SHUTDOWN_DELAY: spec.controllers.length > 1 ? "5s" : "0s",
  });
  return withArguments("kube-apiserver", spec, unit, flags);
}

/** A component's unit with the flags and feature gates of the configuration. */
function withArguments(
  component: string,
  { featureGates }: ClusterSpec,
  unit: StepFile,
  flags: Readonly<Record<string, string>>,
): StepFile {
  const gates = Object.entries(gatesOf(component, featureGates)).map(([gate, value]) => `${gate}=${value}`);
  const all = gates.length > 0 ? { ...flags, "feature-gates": gates.join(",") } : flags;
  return { ...unit, content: withFlags(unit.content, all) };
}

const configuration = (name: string, values: Readonly<Record<string, string>> = {}): StepFile =>
  fileFrom(`configs/${name}.yaml`, `/etc/kubernetes/${name}.yaml`, values, "0600");

export const controlPlane = defineStep({
  name: "control-plane",
  title: "API server, controller manager, scheduler",
  stage: "control-plane",
  on: everyController,
  work: (spec, controller) => ({
    variables: { KUBERNETES_VERSION: spec.kubernetesVersion, CONTROLLERS: controllerLines(spec) },
    releases: ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"],
    files: [
      publicFile(`${libraryDirectory}/encryption.sh`, asset("scripts/lib/encryption.sh")),
      apiServerUnit(spec, controller),
      withArguments(
        "kube-controller-manager",
        spec,
        unitFile("kube-controller-manager.service", {
          CLUSTER_NAME: spec.clusterName,
          POD_CIDR: spec.podCidr,
          SERVICE_CIDR: spec.serviceCidr,
        }),
        spec.controllerManagerArgs,
      ),
      withArguments("kube-scheduler", spec, unitFile("kube-scheduler.service"), spec.schedulerArgs),
      configuration("authentication-config", { JWT: JSON.stringify(spec.jwtAuthenticators) }),
      ...["admission-config", "audit-policy", "scheduler"].map((file) => configuration(file)),
    ],
    secrets: [
      pkiFile("kubernetes-ca", "kubernetes-ca/cert"),
      pkiFile("client-ca", "client-ca-bundle"),
      pkiFile("front-proxy-ca", "front-proxy-ca/cert"),
      ...pkiPair("cluster-signing", "cluster-signing"),
      pkiFile("service-account", "service-account/public"),
      pkiFile("service-account-key", "service-account/key"),
      ...(
        ["kube-apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "front-proxy-client"] as const
      ).flatMap((pair) => pkiPair(pair, pair)),
      kubeconfigFile("controller-manager", "kubeconfig/kube-controller-manager"),
      kubeconfigFile("scheduler", "kubeconfig/kube-scheduler"),
      { path: `${runtimeDirectory}/control-plane/encryption-key`, mode: "0600", source: "encryption-key" },
    ],
    admin: "super-admin", // there are no roles yet
    after: [etcd.at(controller)],
  }),
});

/** What every machine is prepared for: its name, its neighbours, its kernel, and downloads that start early. */
import type { ClusterSpec, Machine, Role } from "../../cluster/spec";
import type { Step } from "../step";
import { asset, publicFile } from "../files";
import { type Release, type ReleaseName, releases } from "../../cluster/versions";

/** Where the scripts of every step live on a machine. */
export const libraryDirectory = "/usr/local/lib/kubernetes-from-scratch";
const libraryFiles = ["library", "releases", "units", "cluster", "run-step", "prefetch"];

const architectureOf = {
  "control-plane": "controlPlane",
  worker: "worker",
  balancer: "balancer",
} as const satisfies Record<Role, keyof ClusterSpec["architecture"]>;

/** What a role downloads, in the order in which its steps want it. */
const releaseOrder: Record<Role, readonly ReleaseName[]> = {
  "control-plane": [
    ...(["etcd", "containerd", "runc", "cni-plugins", "crictl"] as const),
    ...(["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet", "kube-proxy"] as const),
  ],
  worker: ["containerd", "runc", "cni-plugins", "crictl", "kubelet", "kube-proxy"],
  balancer: [],
};

/** Lines of "name url checksum", as the scripts read them. */
export function releaseLines(spec: ClusterSpec, machine: Machine, names: readonly ReleaseName[]): string {
  const all = releases(spec, spec.architecture[architectureOf[machine.role]]);
  return names
    .map((name) => all[name])
    .map(({ name, url, checksum }: Release) => `${name} ${url} ${checksum}`)
    .join("\n");
}

/** Lines of "name address" of the control-plane machines. */
export const controllerLines = (spec: ClusterSpec): string =>
  spec.controllers.map(({ name, privateIp }) => `${name} ${privateIp}`).join("\n");

/** Variables that every step of a machine has. */
export const commonVariables = (machine: Machine): Record<string, string> => ({
  NODE_NAME: machine.name,
  PRIVATE_IP: machine.privateIp,
});

/** Lines of "command package": what a Debian image may lack. */
const packages = (role: Role): string =>
  [
    ["curl", "curl"],
    ["python3", "python3"],
    ["openssl", "openssl"],
    ["update-ca-certificates", "ca-certificates"],
    ["sysctl", "procps"],
    ["modprobe", "kmod"],
    ["ip", "iproute2"],
    ...(role === "balancer"
      ? [["haproxy", "haproxy"]]
      : [
          ["iptables", "iptables"],
          ["nft", "nftables"],
          ["conntrack", "conntrack"],
        ]),
  ]
    .map((line) => line.join(" "))
    .join("\n");

/**
 * The machine itself, those that others depend on and the API server's name, as lines of /etc/hosts. Not the workers: an
 * added one would change every machine.
 */
const hostNames = (spec: ClusterSpec, machine: Machine): string =>
  [
    ...spec.machines
      .filter(({ role, name }) => role !== "worker" || name === machine.name)
      .map(({ name, privateIp }) => `${privateIp} ${name}`),
    ...spec.apiAddresses.map((address) => `${address} ${spec.apiName}`),
  ].join("\n");

/** The first step of every machine. */
export function machineStep(spec: ClusterSpec, machine: Machine): Step {
  const { role } = machine;
  const library = libraryFiles.map((name) =>
    publicFile(`${libraryDirectory}/${name}.sh`, asset(`scripts/lib/${name}.sh`)),
  );
  const etcd =
    role === "control-plane"
      ? ["announce-empty.py", "restore-etcd.sh"].map((name) =>
          publicFile(`${libraryDirectory}/${name}`, asset(`scripts/tools/${name}`), "0755"),
        )
      : [];
  const kernel =
    role === "balancer"
      ? []
      : [
          publicFile("/etc/modules-load.d/kubernetes.conf", "overlay\nbr_netfilter\nnf_conntrack\n"),
          publicFile("/etc/sysctl.d/99-kubernetes.conf", asset("configs/sysctl.conf")),
          publicFile("/etc/systemd/logind.conf.d/zz-kubernetes.conf", asset("configs/logind.conf")),
        ];
  return {
    name: "machine",
    stage: "machines",
    machine,
    variables: {
      ...commonVariables(machine),
      NODE_ROLE: role,
      HOST_NAMES: hostNames(spec, machine),
      PACKAGES: packages(role),
      MIRROR: spec.mirror ?? "",
    },
    facts: {},
    files: [
      ...library,
      ...etcd,
      ...kernel,
      publicFile("/etc/systemd/timesyncd.conf.d/amazon.conf", asset("configs/timesyncd.conf")),
      publicFile("/etc/kubernetes-from-scratch/releases", `${releaseLines(spec, machine, releaseOrder[role])}\n`),
      // cloud-init would write the hosts file anew at every boot
      publicFile(
        "/etc/cloud/cloud.cfg.d/99-kubernetes-from-scratch.cfg",
        "manage_etc_hosts: false\npreserve_hostname: true\n",
      ),
    ],
    secrets: [],
    script: asset("scripts/steps/machine.sh"),
    after: [],
  };
}

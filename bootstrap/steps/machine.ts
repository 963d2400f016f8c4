/** What every machine needs first: its name, its neighbours' names, packages, kernel settings, and early downloads. */
import { type Machine, type Role, sshUser } from "../../cluster/shape";
import type { ClusterSpec } from "../../cluster/spec";
import type { ReleaseName } from "../../cluster/versions";
import { asset, fileFrom, publicFile, type StepFile } from "../files";
import { libraryDirectory } from "../places";
import { releaseLines } from "../releases";
import { defineStep, everyMachine } from "../step";

/** Shell files that are installed on every machine, from scripts/lib/. */
const library = ["library", "releases", "units", "cluster", "volume", "run-step", "prefetch"];

/** Files for the control plane only: additions to the library, and tools for forming and restoring etcd's cluster. */
const controlPlaneFiles: readonly StepFile[] = [
  publicFile(`${libraryDirectory}/etcd-membership.sh`, asset("scripts/lib/etcd-membership.sh")),
  ...["announce-empty.py", "restore-etcd.sh"].map((name) =>
    publicFile(`${libraryDirectory}/${name}`, asset(`scripts/tools/${name}`), "0755"),
  ),
];

/** What a role downloads, in the order in which its steps need it. */
const downloads: Record<Role, readonly ReleaseName[]> = {
  "control-plane": [
    ...(["etcd", "containerd", "runc", "cni-plugins", "crictl"] as const),
    ...(["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet", "kube-proxy"] as const),
  ],
  worker: ["containerd", "runc", "cni-plugins", "crictl", "kubelet", "kube-proxy"],
  balancer: [],
};

/** Lines of "command package": packages that a Debian image may lack. */
const packages = (role: Role): string =>
  [
    "curl curl",
    "python3 python3",
    "openssl openssl",
    "update-ca-certificates ca-certificates",
    "sysctl procps",
    "modprobe kmod",
    "ip iproute2",
    ...(role === "balancer" ? ["haproxy haproxy"] : ["iptables iptables", "nft nftables", "conntrack conntrack"]),
  ].join("\n");

/**
 * Lines of /etc/hosts: the machine itself, those that others depend on, and the name of the API server. Not the workers,
 * because adding one would then change every machine.
 */
const hostNames = (spec: ClusterSpec, machine: Machine): string =>
  [
    ...spec.machines
      .filter(({ role, name }) => role !== "worker" || name === machine.name)
      .map(({ name, privateIp }) => `${privateIp} ${name}`),
    ...spec.apiAddresses.map((address) => `${address} ${spec.apiName}`),
  ].join("\n");

/** Kernel settings, for machines that run pods. */
const kernelFiles = (role: Role): readonly StepFile[] =>
  role === "balancer"
    ? []
    : [
        publicFile("/etc/modules-load.d/kubernetes.conf", "overlay\nbr_netfilter\nnf_conntrack\n"),
        fileFrom("configs/sysctl.conf", "/etc/sysctl.d/99-kubernetes.conf"),
        fileFrom("configs/logind.conf", "/etc/systemd/logind.conf.d/zz-kubernetes.conf"),
      ];

export const machine = defineStep({
  name: "machine",
  title: "Prepare the machines",
  stage: "machines",
  on: everyMachine,
  work: (spec, machine) => ({
    variables: {
      NODE_ROLE: machine.role,
      SSH_USER: sshUser,
      HOST_NAMES: hostNames(spec, machine),
      PACKAGES: packages(machine.role),
      MIRROR: spec.mirror ?? "",
      ROOT_VOLUME_GIB: String(spec.rootVolumeGiB),
    },
    facts: { AUTHORIZED_KEYS: "authorized-keys" },
    files: [
      ...library.map((name) => publicFile(`${libraryDirectory}/${name}.sh`, asset(`scripts/lib/${name}.sh`))),
      ...(machine.role === "control-plane" ? controlPlaneFiles : []),
      ...kernelFiles(machine.role),
      fileFrom("configs/timesyncd.conf", "/etc/systemd/timesyncd.conf.d/amazon.conf"),
      publicFile("/etc/kubernetes-from-scratch/releases", `${releaseLines(spec, machine, downloads[machine.role])}\n`),
      // cloud-init would rewrite the hosts file at every boot
      publicFile(
        "/etc/cloud/cloud.cfg.d/99-kubernetes-from-scratch.cfg",
        "manage_etc_hosts: false\npreserve_hostname: true\n",
      ),
    ],
  }),
});

/**
 * Every version that goes onto a machine, where its file is published, and how it is verified: the one place for both
 * the program (what the machines download) and the mirror (what it must hold).
 */
import type { ClusterSpec, Role } from "../infra/cluster";
import type { Architecture } from "../infra/instance-types";

/** Combinations that were run; the first of each list is the default. */
export const tested = {
  kubernetes: ["v1.36.3", "v1.36.1"],
  etcd: ["v3.6.16", "v3.6.15"],
} as const;

/** Versions of what the configuration does not choose: release tags of the upstream repositories. */
export const versions = {
  containerd: "v2.2.9",
  runc: "v1.4.0",
  cniPlugins: "v1.9.1",
  crictl: "v1.36.0",
} as const;

/** Images that every cluster runs, by upstream name. Tags are those that Kubernetes v1.36 itself is released with, or newer. */
export const images = {
  pause: "registry.k8s.io/pause:3.10.1",
  coredns: "registry.k8s.io/coredns/coredns:v1.14.0",
} as const;

export type Component = "kubernetes" | "etcd" | "containerd" | "runc" | "cni-plugins" | "crictl";

/** One published file: a binary, or an archive of several. */
export interface ReleaseFile {
  readonly component: Component;
  /** Name of the program, or of the component where the file is an archive: kubelet, etcd, cni-plugins. */
  readonly name: string;
  /** Release tag, such as v1.36.3. */
  readonly version: string;
  readonly arch: Architecture;
  /** Where upstream publishes the file; always https. */
  readonly url: string;
  /**
   * Where upstream publishes its SHA-256: a file that holds the sum alone, or lines of `sum  name` (the name may carry a
   * `*`), possibly between the lines of a PGP signature.
   */
  readonly sumUrl: string;
  /** What of a gzipped tar archive is used, by path within it; undefined for a plain binary. */
  readonly members?: readonly string[];
}

/** The part of a cluster that decides which files its machines need. */
export type ReleaseChoice = Pick<ClusterSpec, "kubernetesVersion" | "etcdVersion">;

const github = (repository: string, tag: string, file: string): string =>
  `https://github.com/${repository}/releases/download/${tag}/${file}`;

/** A Kubernetes program. https://kubernetes.io/releases/download/#binaries */
export function kubernetesBinary(name: string, version: string, arch: Architecture): ReleaseFile {
  const url = `https://dl.k8s.io/release/${version}/bin/linux/${arch}/${name}`;
  return { component: "kubernetes", name, version, arch, url, sumUrl: `${url}.sha256` };
}

/** etcd, etcdctl and etcdutl. https://github.com/etcd-io/etcd/releases */
export function etcdArchive(version: string, arch: Architecture): ReleaseFile {
  const directory = `etcd-${version}-linux-${arch}`;
  return {
    component: "etcd",
    name: "etcd",
    version,
    arch,
    url: github("etcd-io/etcd", version, `${directory}.tar.gz`),
    sumUrl: github("etcd-io/etcd", version, "SHA256SUMS"),
    members: ["etcd", "etcdctl", "etcdutl"].map((program) => `${directory}/${program}`),
  };
}

/** containerd with its shim and ctr. https://github.com/containerd/containerd/blob/main/docs/getting-started.md */
function containerdArchive(arch: Architecture): ReleaseFile {
  const version = versions.containerd;
  const file = `containerd-${version.slice(1)}-linux-${arch}.tar.gz`;
  const url = github("containerd/containerd", version, file);
  const members = ["bin/containerd", "bin/containerd-shim-runc-v2", "bin/ctr"];
  return { component: "containerd", name: "containerd", version, arch, url, sumUrl: `${url}.sha256sum`, members };
}

/** runc. https://github.com/opencontainers/runc/releases */
function runcBinary(arch: Architecture): ReleaseFile {
  const version = versions.runc;
  const of = (file: string): string => github("opencontainers/runc", version, file);
  return { component: "runc", name: "runc", version, arch, url: of(`runc.${arch}`), sumUrl: of("runc.sha256sum") };
}

/** The CNI plugins that the pod network uses. https://github.com/containernetworking/plugins/releases */
function cniPluginsArchive(arch: Architecture): ReleaseFile {
  const version = versions.cniPlugins;
  const url = github("containernetworking/plugins", version, `cni-plugins-linux-${arch}-${version}.tgz`);
  const members = ["bridge", "loopback", "host-local", "portmap", "firewall"].map((plugin) => `./${plugin}`);
  return { component: "cni-plugins", name: "cni-plugins", version, arch, url, sumUrl: `${url}.sha256`, members };
}

/** crictl. https://github.com/kubernetes-sigs/cri-tools/releases */
function crictlArchive(arch: Architecture): ReleaseFile {
  const version = versions.crictl;
  const url = github("kubernetes-sigs/cri-tools", version, `crictl-${version}-linux-${arch}.tar.gz`);
  return { component: "crictl", name: "crictl", version, arch, url, sumUrl: `${url}.sha256`, members: ["crictl"] };
}

/** What a machine of this role downloads, in the order in which the bootstrap first needs it. */
export function releaseFiles(choice: ReleaseChoice, role: Role, arch: Architecture): readonly ReleaseFile[] {
  const kubernetes = (name: string): ReleaseFile => kubernetesBinary(name, choice.kubernetesVersion, arch);
  const node = [
    containerdArchive(arch),
    runcBinary(arch),
    cniPluginsArchive(arch),
    crictlArchive(arch),
    kubernetes("kubelet"),
    kubernetes("kube-proxy"),
  ];
  const controlPlane = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"].map(kubernetes);
  switch (role) {
    case "control-plane":
      return [etcdArchive(choice.etcdVersion, arch), ...controlPlane, ...node];
    case "worker":
      return node;
    case "balancer":
      return [];
  }
}

/** Path of an upstream URL within a mirror: <host>/<path>. */
export function mirrorPath(url: string): string {
  const { host, pathname } = new URL(url);
  return host + pathname;
}

/** Where to download an upstream URL from: itself, or its place in the mirror. */
export function downloadUrl(url: string, mirror: string | undefined): string {
  return mirror === undefined ? url : `${mirror.replace(/\/+$/, "")}/${mirrorPath(url)}`;
}

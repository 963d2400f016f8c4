/**
 * The versions of the cluster's components, where their release files come from, and how they are verified: against the
 * SHA-256 sums that their origin publishes. URLs are upstream's; a mirror serves the same tree as <mirror>/<host>/<path>.
 */
import type { Architecture } from "./instance-types";

/** Patch releases of Kubernetes 1.36 that were tested with the versions below; the newest is the default. */
// renovate: datasource=github-releases depName=kubernetes/kubernetes
export const kubernetesVersions = ["v1.36.1", "v1.36.3"] as const;
/** Patch releases of etcd 3.6 that were tested with them. */
// renovate: datasource=github-releases depName=etcd-io/etcd
export const etcdVersions = ["v3.6.15", "v3.6.16"] as const;

/** Every other component has a single version, which is changed here. */
export const versions = {
  // renovate: datasource=github-releases depName=containerd/containerd
  containerd: "2.2.9",
  // renovate: datasource=github-releases depName=opencontainers/runc
  runc: "1.4.0",
  // renovate: datasource=github-releases depName=containernetworking/plugins
  cniPlugins: "1.9.1",
  // renovate: datasource=github-releases depName=kubernetes-sigs/cri-tools
  crictl: "1.36.0",
  // renovate: datasource=github-releases depName=coredns/coredns
  coredns: "1.14.0",
  // renovate: datasource=docker depName=registry.k8s.io/pause
  pause: "3.10.1",
} as const;

/** One file of a release. */
export interface Release {
  /** Name of the binary, or of the contents of the archive. */
  readonly name: ReleaseName | typeof testPrograms.name;
  readonly url: string;
  /** URL of the SHA-256 sums that the origin publishes: one sum alone, or lines of `<sum>  <file>`. */
  readonly checksum: string;
}

export type ReleaseName =
  | "kube-apiserver"
  | "kube-controller-manager"
  | "kube-scheduler"
  | "kubelet"
  | "kube-proxy"
  | "kubectl"
  | "etcd"
  | "containerd"
  | "runc"
  | "cni-plugins"
  | "crictl";

/** The programs of a Kubernetes release that a cluster runs, and kubectl. */
export const kubernetesBinaries = [
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
  "kubectl",
] as const satisfies readonly ReleaseName[];

const github = (repository: string, tag: string): string => `https://github.com/${repository}/releases/download/${tag}`;

/**
 * Every release file of a cluster, by name.
 * @param versionsOf versions of Kubernetes and etcd as in the configuration, with the leading v.
 */
export function releases(
  versionsOf: { readonly kubernetesVersion: string; readonly etcdVersion: string },
  architecture: Architecture,
): Readonly<Record<ReleaseName, Release>> {
  const { kubernetesVersion, etcdVersion } = versionsOf;
  const { containerd, runc, cniPlugins, crictl } = versions;
  const kubernetes = `https://dl.k8s.io/release/${kubernetesVersion}/bin/linux/${architecture}`;
  const etcd = github("etcd-io/etcd", etcdVersion);
  const containerdFile = `${github("containerd/containerd", `v${containerd}`)}/containerd-${containerd}-linux-${architecture}.tar.gz`;
  const cni = `${github("containernetworking/plugins", `v${cniPlugins}`)}/cni-plugins-linux-${architecture}-v${cniPlugins}.tgz`;
  const cri = `${github("kubernetes-sigs/cri-tools", `v${crictl}`)}/crictl-v${crictl}-linux-${architecture}.tar.gz`;
  const runcBase = github("opencontainers/runc", `v${runc}`);
  const files: Release[] = [
    ...kubernetesBinaries.map((name) => ({
      name,
      url: `${kubernetes}/${name}`,
      checksum: `${kubernetes}/${name}.sha256`,
    })),
    { name: "etcd", url: `${etcd}/etcd-${etcdVersion}-linux-${architecture}.tar.gz`, checksum: `${etcd}/SHA256SUMS` },
    { name: "containerd", url: containerdFile, checksum: `${containerdFile}.sha256sum` },
    { name: "runc", url: `${runcBase}/runc.${architecture}`, checksum: `${runcBase}/runc.sha256sum` },
    { name: "cni-plugins", url: cni, checksum: `${cni}.sha256` },
    { name: "crictl", url: cri, checksum: `${cri}.sha256` },
  ];
  return Object.fromEntries(files.map((file) => [file.name, file])) as Record<ReleaseName, Release>;
}

/** Upstream's end-to-end tests of a Kubernetes version, and the program that runs them. */
export const testPrograms = {
  name: "kubernetes-test",
  /** Paths in the archive. */
  files: { "e2e.test": "kubernetes/test/bin/e2e.test", ginkgo: "kubernetes/test/bin/ginkgo" },
} as const;

/** The release file with the end-to-end tests. @param kubernetesVersion with the leading v. */
export function testRelease(kubernetesVersion: string, architecture: Architecture): Release {
  const url = `https://dl.k8s.io/release/${kubernetesVersion}/${testPrograms.name}-linux-${architecture}.tar.gz`;
  return { name: testPrograms.name, url, checksum: `${url}.sha256` };
}

/** Container images of the cluster itself, by upstream name. */
export const images = {
  pause: `registry.k8s.io/pause:${versions.pause}`,
  coredns: `registry.k8s.io/coredns/coredns:v${versions.coredns}`,
} as const;

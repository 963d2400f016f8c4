/** How to build each release that cannot be downloaded: its Go modules, and the layout of upstream's files. */
import type { Architecture } from "../../cluster/instance-types";
import { kubernetesBinaries, type Release, testPrograms } from "../../cluster/versions";
import type { GoBuild } from "../go-build";

/** One build, which produces one or more release files. */
export interface Component {
  readonly name: string;
  readonly build: GoBuild;
  /** Debian packages that the build needs. */
  readonly packages?: readonly string[];
  /** What each release file is: the binary of that name, or an archive with this path for each binary. */
  readonly files: Readonly<Partial<Record<Release["name"], "binary" | Readonly<Record<string, string>>>>>;
}

const etcdMain = `package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
`;

const named = (names: readonly string[], prefix: string): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, `${prefix}${name}`]));

/** The component that contains a release file. @param version as in the file's URL. */
export function componentOf(name: Release["name"], version: string, architecture: Architecture): Component {
  switch (name) {
    case "kube-apiserver":
    case "kube-controller-manager":
    case "kube-scheduler":
    case "kubelet":
    case "kube-proxy":
    case "kubectl":
      return kubernetes(version);
    case testPrograms.name:
      return kubernetesTest(version);
    case "etcd":
      return etcd(version, architecture);
    case "containerd":
      return containerd(version);
    case "runc":
      return runc(version);
    case "cni-plugins":
      return cniPlugins(version);
    case "crictl":
      return crictl(version);
  }
}

function kubernetes(version: string): Component {
  return {
    name: "kubernetes",
    build: kubernetesBuild(version, {
      packages: kubernetesBinaries.map((binary) => `k8s.io/kubernetes/cmd/${binary}`),
    }),
    files: Object.fromEntries(kubernetesBinaries.map((binary) => [binary, "binary"])),
  };
}

function kubernetesTest(version: string): Component {
  return {
    name: testPrograms.name,
    build: kubernetesBuild(version, {
      packages: ["github.com/onsi/ginkgo/v2/ginkgo"],
      tests: ["k8s.io/kubernetes/test/e2e"],
    }),
    files: { [testPrograms.name]: testPrograms.files },
  };
}

/** Programs of Kubernetes' module, which are told their version. */
function kubernetesBuild(version: string, programs: Pick<GoBuild, "packages" | "tests">): GoBuild {
  const [, minor = "", patch = ""] = version.slice(1).split(".");
  const info = "k8s.io/component-base/version";
  return {
    requires: [`k8s.io/kubernetes@${version}`],
    replacesOf: { module: "k8s.io/kubernetes", version: `v0.${minor}.${patch}` },
    ...programs,
    ldflags: [
      `-X ${info}.gitVersion=${version} -X ${info}.gitMajor=1 -X ${info}.gitMinor=${minor} -X ${info}.gitTreeState=clean`,
      `-X k8s.io/client-go/pkg/version.gitVersion=${version}`,
    ],
  };
}

/** etcd's main package is in its root module, which the proxy does not serve. etcdmain.Main does the same. */
export function etcdBuild(version: string): GoBuild {
  const base = "go.etcd.io/etcd";
  return {
    requires: ["server", "etcdctl", "etcdutl"].map((part) => `${base}/${part}/v3@${version}`),
    packages: [`${base}/etcdctl/v3`, `${base}/etcdutl/v3`],
    main: { binary: "etcd", source: etcdMain },
  };
}

function etcd(version: string, architecture: Architecture): Component {
  return {
    name: "etcd",
    build: etcdBuild(version),
    files: { etcd: named(["etcd", "etcdctl", "etcdutl"], `etcd-${version}-linux-${architecture}/`) },
  };
}

function containerd(version: string): Component {
  const base = "github.com/containerd/containerd/v2";
  const binaries = ["containerd", "containerd-shim-runc-v2", "ctr"];
  return {
    name: "containerd",
    build: {
      requires: [`${base}@${version}`],
      packages: binaries.map((binary) => `${base}/cmd/${binary}`),
      tags: ["no_btrfs", "no_zfs", "no_devmapper"],
      ldflags: [`-X ${base}/version.Version=${version}`],
    },
    files: { containerd: named(binaries, "bin/") },
  };
}

/** The only build against C libraries: runc's seccomp filters need libseccomp. */
function runc(version: string): Component {
  return {
    name: "runc",
    build: {
      requires: [`github.com/opencontainers/runc@${version}`],
      packages: ["github.com/opencontainers/runc"],
      tags: ["seccomp", "netgo", "osusergo"],
      cgo: true,
    },
    packages: ["gcc", "libc6-dev", "libseccomp-dev", "pkg-config"],
    files: { runc: "binary" },
  };
}

function cniPlugins(version: string): Component {
  const base = "github.com/containernetworking/plugins";
  const plugins = ["main/bridge", "main/loopback", "ipam/host-local", "meta/portmap", "meta/firewall"];
  return {
    name: "cni-plugins",
    build: { requires: [`${base}@${version}`], packages: plugins.map((plugin) => `${base}/plugins/${plugin}`) },
    files: {
      "cni-plugins": named(
        plugins.map((plugin) => plugin.split("/")[1] ?? plugin),
        "./",
      ),
    },
  };
}

function crictl(version: string): Component {
  return {
    name: "crictl",
    build: {
      requires: [`sigs.k8s.io/cri-tools@${version}`],
      packages: ["sigs.k8s.io/cri-tools/cmd/crictl"],
      ldflags: [`-X sigs.k8s.io/cri-tools/pkg/version.Version=${version.slice(1)}`],
    },
    files: { crictl: { crictl: "crictl" } },
  };
}

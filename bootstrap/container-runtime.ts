/** containerd, runc, the CNI plugins and crictl, on every machine that runs pods. */
import type { ClusterSpec, Machine } from "../infra/cluster";
import { commonVariables, releaseLines } from "./node";
import type { Step } from "./step";
import { asset, fill, publicFile, unitFile } from "./text";
import { images, versions } from "./versions";

/** https://github.com/containerd/containerd/blob/main/docs/hosts.md */
const registryHosts = (mirror: string): string =>
  `# stands in for every registry\n[host."${mirror}"]\n  capabilities = ["pull", "resolve"]\n`;

export function containerRuntimeStep(spec: ClusterSpec, machine: Machine): Step {
  return {
    name: "container-runtime",
    stage: "machines",
    machine,
    variables: {
      ...commonVariables(machine),
      MIRROR: spec.mirror ?? "",
      RELEASES: releaseLines(spec, machine, ["containerd", "runc", "cni-plugins", "crictl"]),
      CONTAINERD_VERSION: `v${versions.containerd}`,
      IMAGES: [images.pause, ...(machine.role === "worker" ? [images.coredns] : [])].join(" "),
    },
    facts: {},
    files: [
      publicFile(
        "/etc/containerd/config.toml",
        fill(asset("manifests/containerd.toml"), { PAUSE_IMAGE: images.pause }),
      ),
      ...(spec.registryMirror
        ? [publicFile("/etc/containerd/certs.d/_default/hosts.toml", registryHosts(spec.registryMirror))]
        : []),
      publicFile("/etc/crictl.yaml", asset("manifests/crictl.yaml")),
      unitFile("containerd.service"),
    ],
    secrets: [],
    script: asset("scripts/container-runtime.sh"),
    after: [`machine@${machine.name}`],
  };
}

/** containerd, runc, the CNI plugins and crictl, on every machine that runs pods. */
import type { ClusterSpec, Machine } from "../../cluster/spec";
import { commonVariables, releaseLines } from "./machine";
import type { Step } from "../step";
import { asset, fill, publicFile, unitFile } from "../files";
import { images, versions } from "../../cluster/versions";

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
      publicFile("/etc/containerd/config.toml", fill(asset("configs/containerd.toml"), { PAUSE_IMAGE: images.pause })),
      ...(spec.registryMirror
        ? [publicFile("/etc/containerd/certs.d/_default/hosts.toml", registryHosts(spec.registryMirror))]
        : []),
      publicFile("/etc/crictl.yaml", asset("configs/crictl.yaml")),
      unitFile("containerd.service"),
    ],
    secrets: [],
    script: asset("scripts/steps/container-runtime.sh"),
    after: [`machine@${machine.name}`],
  };
}

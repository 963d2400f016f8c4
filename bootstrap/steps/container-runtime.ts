/** containerd, runc, the CNI plugins and crictl, on every machine that runs pods. */
import { images, versions } from "../../cluster/versions";
import { fileFrom, publicFile, unitFile } from "../files";
import { defineStep, everyNode } from "../step";
import { machine } from "./machine";

/** https://github.com/containerd/containerd/blob/main/docs/hosts.md */
const registryHosts = (mirror?: string): string =>
  mirror === undefined
    ? "# images come from their own registries\n"
    : `# stands in for every registry\n[host."${mirror}"]\n  capabilities = ["pull", "resolve"]\n`;

export const containerRuntime = defineStep({
  name: "container-runtime",
  title: "containerd, runc and the CNI plugins",
  stage: "machines",
  on: everyNode,
  work: (spec, node) => ({
    variables: {
      CONTAINERD_VERSION: `v${versions.containerd}`,
      IMAGES: [images.pause, ...(node.role === "worker" ? [images.coredns] : [])].join(" "),
    },
    releases: ["containerd", "runc", "cni-plugins", "crictl"],
    files: [
      fileFrom("configs/containerd.toml", "/etc/containerd/config.toml", { PAUSE_IMAGE: images.pause }),
      publicFile("/etc/containerd/certs.d/_default/hosts.toml", registryHosts(spec.registryMirror)),
      fileFrom("configs/crictl.yaml", "/etc/crictl.yaml"),
      unitFile("containerd.service"),
    ],
    after: [machine.at(node)],
  }),
});

/**
 * The bootstrap as a person would do it: for every machine, in the series' order, the files and the commands, from the
 * same data that the program runs from. The text is Markdown, and its code blocks can be run as they stand.
 */
import { libraryDirectory } from "./node";
import { materialKeys, hereDocument, libraryText, owner, quote, stepBody } from "./render";
import { type SecretFile, type Step, type StepName, stepId } from "./step";

/** What each step is about, as the heading over its commands. */
const titles: Readonly<Record<StepName, string>> = {
  machine: "Prepare the machine",
  balancer: "HAProxy in front of the API servers",
  "container-runtime": "containerd, runc, CNI plugins, crictl",
  etcd: "etcd",
  "control-plane": "kube-apiserver, kube-controller-manager, kube-scheduler",
  rbac: "The API server's rights on kubelets",
  departures: "What no longer belongs to the cluster",
  worker: "kubelet and kube-proxy",
  "pod-network": "The pod network",
  nodes: "The nodes as a whole",
  dns: "CoreDNS",
};

/** Where the pieces that are made once, or known late, come from. */
const origin = (key: string): string => {
  if (key === "instance/id") return "the instance's id, such as i-0123456789abcdef0";
  if (key === "instance/zone") return "the instance's availability zone";
  if (key === "instances") return "lines of `<node name> <instance id>`, one for every node";
  if (key === "encryption-config")
    return "EncryptionConfiguration: secretbox with 32 random bytes first, identity last";
  if (key === "client-ca-bundle") return "kubernetes-ca/cert and cluster-signing/cert, one after the other";
  if (key.startsWith("kubeconfig/")) return `a kubeconfig with the certificate ${key.slice("kubeconfig/".length)}`;
  if (key === "service-account/public") return "public half of service-account/key";
  return key.endsWith("/key") ? "a private key" : "a certificate";
};

/** Installs a piece of the material as the step's remote command would. */
const installed = (file: SecretFile): string =>
  `put ${file.path} ${file.mode} ${owner(file)} <"$MATERIAL/${file.source}"`;

/** One step as a script of its own, to be run on its machine by a user with sudo. */
export function byHandScript(step: Step): string {
  const body = [
    "set -euo pipefail",
    `STEP=${step.name}`,
    `. ${libraryDirectory}/library.sh`,
    "trap run_on_exit EXIT",
    ...Object.entries(step.facts).map(([name, key]) => `${name}=$(cat "$MATERIAL/${key}")`),
    ...step.secrets.map(installed),
    "umask 022",
    "",
    stepBody(step),
  ].join("\n");
  const library = libraryText(step);
  const prelude = library ? hereDocument("sudo bash", `set -euo pipefail\n${library}`, "END_OF_LIBRARY") : "";
  return `${prelude}MATERIAL=\${MATERIAL:-$HOME/material}\n${hereDocument('sudo MATERIAL="$MATERIAL" bash', body, "END_OF_STEP")}`;
}

/** The whole transcript. */
export function byHand(steps: readonly Step[]): string {
  const keys = [...new Set(steps.flatMap(materialKeys))].sort();
  const blocks = steps.map((step) =>
    [
      `## ${titles[step.name]} on ${step.machine.name}`,
      "",
      step.after.length > 0 ? `After: ${step.after.join(", ")}.\n` : undefined,
      `<!-- step ${stepId(step)} -->`,
      "```sh",
      `${byHandScript(step)}\`\`\``,
      "",
    ]
      .filter((line) => line !== undefined)
      .join("\n"),
  );
  return `# The cluster by hand

Every block is typed on the machine that its heading names, as a user with sudo. Each ends with a check and may be
repeated. Blocks of different machines may run side by side; those of etcd, where there are several control-plane
machines, must: the first waits for the others.

Secrets are in no block. They come from a directory on the machine, \`$MATERIAL\` (\`~/material\` unless it is set), which
only you can read. Put these files there, on each machine those that its blocks name, and delete them afterwards:

| file | what it is |
| --- | --- |
${keys.map((key) => `| \`${key}\` | ${origin(key)} |`).join("\n")}

${blocks.join("\n")}`;
}

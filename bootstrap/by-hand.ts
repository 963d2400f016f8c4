/**
 * The whole bootstrap as a transcript to type: openssl commands for the certificates, then the command of every step as
 * the program sends it, with its secrets read from the files that the first chapter created. It is generated from the same
 * data that the program uses.
 */
import { type Leaf, signingAuthority } from "../cluster/certificates";
import { type Material, materials } from "../cluster/material";
import { type ClusterSpec, firstController } from "../cluster/spec";
import { caValidityHours } from "../cluster/validity";
import { asset, fill } from "./files";
import { inputKeys, ownerOf, renderCommand } from "./render";
import type { Step } from "./step";
import { definitions } from "./steps";

const block = (text: string): string => `\`\`\`bash\n${text.trimEnd()}\n\`\`\`\n`;

const days = (hours: number): number => Math.floor(hours / 24);
const caExtensions = String.raw`basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature`;

function leafCommand(leaf: Leaf, validityHours: number): string {
  const subject = `${leaf.organization ? `/O=${leaf.organization}` : ""}/CN=${leaf.commonName}`;
  const uses = leaf.uses.map((use) => (use === "server_auth" ? "serverAuth" : "clientAuth")).join(",");
  const names = [
    ...(leaf.dnsNames ?? []).map((name) => `DNS:${name}`),
    ...(leaf.ipAddresses ?? []).map((address) => `IP:${address}`),
  ];
  const extensions = [
    "keyUsage=critical,digitalSignature",
    `extendedKeyUsage=${uses}`,
    ...(names.length ? [`subjectAltName=${names.join(",")}`] : []),
  ].join(String.raw`\n`);
  const elasticIp = leaf.namesElasticIp ? '"${ELASTIC_IP:+,IP:$ELASTIC_IP}"' : "";
  return `sign ${leaf.name} ${leaf.authority} '${subject}' ${days(validityHours)} '${extensions}'${elasticIp}`;
}

/** The commands that create one item of key material, as a file pki/<key>. */
function materialCommands(material: Material, spec: ClusterSpec): string[] {
  switch (material.kind) {
    case "authority":
      return [`authority ${material.name}`];
    case "signing-authority": {
      const { name, issuer, commonName } = signingAuthority;
      return [
        "# The controller manager signs certificate requests with this, so that no machine needs the key of a root CA.",
        `sign ${name} ${issuer} /CN=${commonName} ${days(caValidityHours)} '${caExtensions}'`,
      ];
    }
    case "leaf":
      return [leafCommand(material.leaf, spec.certificateValidityHours)];
    case "bundle":
      return [`cat ${material.of.map((key) => `pki/${key}`).join(" ")} >pki/${material.key}`];
    case "key-pair":
      return [
        `key ${material.name}`,
        `openssl pkey -in pki/${material.name}/key -pubout -out pki/${material.name}/public`,
      ];
    case "encryption-key":
      return [`openssl rand -base64 32 >pki/${material.key}`];
    case "kubeconfig":
      return [`kubeconfig ${material.key} ${material.user} ${material.pair} ${material.server}`];
  }
}

/** Asks the machines what EC2 knows about them. */
const factCommands = (spec: ClusterSpec): string[] => [
  `ssh -n -F "$SSH_CONFIG" ${firstController(spec).name} 'cat ~/.ssh/authorized_keys' >pki/authorized-keys`,
  ...spec.machines.flatMap(({ name }) => [
    `mkdir -p pki/instance/${name}`,
    `query ${name} instance_id >pki/instance/${name}/id`,
    `query ${name} availability_zone >pki/instance/${name}/zone`,
  ]),
  `for node in ${spec.nodes.map(({ name }) => name).join(" ")}; do echo "$node $(cat "pki/instance/$node/id")"; done >pki/instances`,
];

function stepCommand(step: Step): string {
  const input = [
    ...Object.entries(step.facts).map(([name, key]) => `  fact ${name} ${key}`),
    ...step.secrets.map((file) => `  file ${file.path} ${file.mode} ${ownerOf(file)} ${file.source}`),
  ];
  const feed = inputKeys(step).length ? `{\n${input.join("\n")}\n}` : ":";
  return `${feed} | ssh -F "$SSH_CONFIG" ${step.machine.name} "$(cat <<'END_OF_TRANSCRIPT'\n${renderCommand(step)}\nEND_OF_TRANSCRIPT\n)" &`;
}

/**
 * The transcript, in Markdown. Run in order in a single bash, on a machine that can reach the cluster's machines over SSH,
 * its bash blocks build the cluster. The machines of a step run it in parallel, because the members of etcd must start
 * together.
 */
export function transcript(spec: ClusterSpec): string {
  const chapters = definitions(spec).flatMap((definition) => {
    const steps = definition.steps(spec);
    if (steps.length === 0) return [];
    const machines = steps.map(({ machine }) => machine.name).join(", ");
    return [`## ${definition.title}\n\nOn ${machines}:\n`, block([...steps.map(stepCommand), "together"].join("\n"))];
  });
  return [
    `# The cluster ${spec.clusterName} by hand\n`,
    "Every file and command of the bootstrap, as the program sends them. You need openssl, and machines that have the",
    "configured addresses and accept SSH under the names below. `SSH_CONFIG` is the ssh_config file for reaching them;",
    "set `ELASTIC_IP` if the API endpoint has a public address.\n",
    "## Tools for this page\n",
    block(
      fill(asset("scripts/tools/by-hand.sh").replace(/^# shellcheck .*\n/, ""), {
        CLUSTER_NAME: spec.clusterName,
        CA_DAYS: String(days(caValidityHours)),
      }),
    ),
    "## Certificates, kubeconfigs, encryption key\n",
    block(
      materials(spec)
        .flatMap((material) => materialCommands(material, spec))
        .join("\n"),
    ),
    "## What the machines know about themselves\n",
    block(factCommands(spec).join("\n")),
    ...chapters,
  ].join("\n");
}

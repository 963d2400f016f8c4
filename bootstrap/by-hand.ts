/**
 * The whole bootstrap as a text to type: certificates by openssl, then every step's command as the program sends it, with
 * its secrets read from the files that the first chapter made. From the same data as the program; nothing is retold.
 */
import { type Authority, authorities, type Leaf, leaves } from "../cluster/certificates";
import type { ClusterSpec } from "../cluster/spec";
import { encryptionConfig } from "./steps/control-plane";
import { nodesOf } from "./steps/nodes";
import { materialKeys, renderCommand } from "./render";
import type { Step } from "./step";
import { steps } from "./steps";

const chapters: Readonly<Record<Step["name"], string>> = {
  machine: "Prepare the machines",
  balancer: "The load balancer",
  "container-runtime": "containerd, runc and the CNI plugins",
  etcd: "etcd",
  "control-plane": "API server, controller manager, scheduler",
  rbac: "The API server may use the kubelets",
  departures: "Nothing is left of machines that went",
  worker: "kubelet and kube-proxy",
  "pod-network": "The pod network",
  nodes: "The nodes, as the API lists them",
  dns: "CoreDNS",
};

const block = (text: string): string => `\`\`\`bash\n${text.trimEnd()}\n\`\`\`\n`;

/** Shell functions for what all certificates have in common. Keys never leave the folder pki/, which only its owner reads. */
const preparation = (spec: ClusterSpec): string => `set -euo pipefail
umask 077
: "\${SSH_CONFIG:=ssh_config}" # Host controller-0, worker-0, ...: user admin, host keys pinned
mkdir -p pki

key() { # key NAME: a P-256 key
  mkdir -p "pki/$1" && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "pki/$1/key"
}
authority() { # authority NAME: a CA that signs itself, for ten years
  key "$1"
  openssl req -x509 -new -key "pki/$1/key" -subj "/CN=$1" -days 3650 -out "pki/$1/cert" \\
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
}
sign() { # sign NAME CA SUBJECT DAYS EXTENSIONS: a certificate by that CA
  key "$1"
  openssl req -new -key "pki/$1/key" -subj "$3" |
    openssl x509 -req -CA "pki/$2/cert" -CAkey "pki/$2/key" -CAcreateserial -days "$4" -extfile <(printf '%b' "$5") -out "pki/$1/cert"
}
kubeconfig() { # kubeconfig NAME USER PAIR SERVER: with the certificates inside
  mkdir -p "pki/$(dirname "kubeconfig/$1")"
  cat >"pki/kubeconfig/$1" <<END
apiVersion: v1
kind: Config
clusters: [{name: ${spec.name}, cluster: {server: "$4", certificate-authority-data: $(base64 -w0 pki/kubernetes-ca/cert)}}]
users: [{name: "$2", user: {client-certificate-data: $(base64 -w0 "pki/$3/cert"), client-key-data: $(base64 -w0 "pki/$3/key")}}]
contexts: [{name: ${spec.name}, context: {cluster: ${spec.name}, user: "$2"}}]
current-context: ${spec.name}
END
}
content() { [ -s "pki/$1" ] && base64 -w0 "pki/$1" || { echo "pki/$1 is missing" >&2; return 1; }; }
fact() { local text && text=$(content "$2") && printf 'fact %s %s\\n' "$1" "$text"; }
file() { local text && text=$(content "$4") && printf 'file %s %s %s %s\\n' "$1" "$2" "$3" "$text"; }
together() { for job in $(jobs -p); do wait "$job"; done; } # waits for all machines, fails where one failed`;

function leafCommand(leaf: Leaf): string {
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
  ];
  return `sign ${leaf.name} ${leaf.authority} '${subject}' 365 '${extensions.join("\\n")}'`;
}

function certificates(spec: ClusterSpec): string {
  const of = (authority: Authority): string[] =>
    leaves(spec).flatMap((leaf) => (leaf.authority === authority ? [leafCommand(leaf)] : []));
  const here = "https://127.0.0.1:6443";
  const anywhere = `https://${spec.apiName}:6443`;
  return [
    ...authorities.flatMap((authority) => [`authority ${authority}`, ...of(authority)]),
    "",
    "# what the controller manager signs requests with: no machine holds the key of a root",
    `sign cluster-signing kubernetes-ca /CN=kubernetes-cluster-signing 3650 'basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature'`,
    "cat pki/kubernetes-ca/cert pki/cluster-signing/cert >pki/client-ca-bundle",
    "",
    "key service-account",
    "openssl pkey -in pki/service-account/key -pubout -out pki/service-account/public",
    `cat >pki/encryption-config <<END\n${encryptionConfig("$(openssl rand -base64 32)").trimEnd()}\nEND`,
    "",
    `kubeconfig admin kubernetes-admin admin ${here}`,
    `kubeconfig kube-controller-manager kube-controller-manager kube-controller-manager ${here}`,
    `kubeconfig kube-scheduler kube-scheduler kube-scheduler ${here}`,
    `kubeconfig kube-proxy kube-proxy kube-proxy ${anywhere}`,
    ...nodesOf(spec).map(({ name }) => `kubeconfig kubelet/${name} ${name} kubelet/${name} ${anywhere}`),
  ].join("\n");
}

/** What EC2 knows of the machines, asked of the machines themselves. */
function facts(spec: ClusterSpec): string {
  const zone = (index: number): string => `${spec.region}${"abc"[index] ?? "a"}`;
  return [
    ...spec.machines.map(
      ({ name, zone: index }) =>
        `mkdir -p pki/instance/${name} && ssh -n -F "$SSH_CONFIG" ${name} cloud-init query instance_id >pki/instance/${name}/id && printf %s ${zone(index)} >pki/instance/${name}/zone`,
    ),
    `for node in ${nodesOf(spec)
      .map(({ name }) => name)
      .join(" ")}; do echo "$node $(cat "pki/instance/$node/id")"; done >pki/instances`,
  ].join("\n");
}

/** Where a step's key is kept: a machine's own pair, or the one that all machines share. */
function fileOf(key: string, step: Step, spec: ClusterSpec): string {
  const machine = step.machine.name;
  if (key.startsWith("instance/")) return key.replace("instance/", `instance/${machine}/`);
  const own = leaves(spec).some(({ name }) => key === `${name}/cert` || key === `${name}/key`);
  return own || key === `kubeconfig/kubelet/${machine}` ? key : key.replace(`/${machine}`, "");
}

function stepCommand(step: Step, spec: ClusterSpec): string {
  const input = [
    ...Object.entries(step.facts).map(([name, key]) => `  fact ${name} ${fileOf(key, step, spec)}`),
    ...step.secrets.map(
      ({ path, mode, owner, source }) => `  file ${path} ${mode} ${owner ?? "root:root"} ${fileOf(source, step, spec)}`,
    ),
  ];
  const feed = materialKeys(step).length ? `{\n${input.join("\n")}\n}` : ":";
  return `${feed} | ssh -F "$SSH_CONFIG" ${step.machine.name} "$(cat <<'END_OF_TRANSCRIPT'\n${renderCommand(step)}\nEND_OF_TRANSCRIPT\n)" &`;
}

/**
 * The transcript, in Markdown: its bash blocks, run one after the other by one bash on a machine that reaches the cluster's
 * machines by SSH, build the cluster. Machines of one chapter work at the same time, as members of etcd must.
 */
export function transcript(spec: ClusterSpec): string {
  const all = steps(spec);
  const parts = Object.entries(chapters).flatMap(([name, title]) => {
    const ofChapter = all.filter((step) => step.name === name);
    if (ofChapter.length === 0) return [];
    const machines = ofChapter.map((step) => step.machine.name).join(", ");
    return [
      `## ${title}\n\nOn ${machines}:\n`,
      block([...ofChapter.map((step) => stepCommand(step, spec)), "together"].join("\n")),
    ];
  });
  return [
    `# The cluster ${spec.name} by hand\n`,
    "Every file and command of the bootstrap, as the program runs them. It needs machines that answer by SSH under the names below",
    "(`SSH_CONFIG` names the file that says how), with the addresses of the configuration, and openssl here.\n",
    "## Tools for this page\n",
    block(preparation(spec)),
    "## Certificates, kubeconfigs, encryption key\n",
    block(certificates(spec)),
    "## What the machines know of themselves\n",
    block(facts(spec)),
    ...parts,
  ].join("\n");
}

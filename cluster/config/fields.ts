/**
 * How the text of each configuration key is read, and what can be wrong with it. Types, defaults and descriptions for the
 * user are in Pulumi.yaml; rules between keys are in rules.ts.
 */
import { Region } from "@pulumi/aws/types/enums";
import { z } from "zod";
import { etcdVersions, kubernetesVersions } from "../versions";
import { address, parseCidr, size } from "../cidr";
import { adminAccesses, apiEndpointKinds, egresses, kubeProxyModes, maxWorkers, stages } from "../shape";
import { leafValidityHours } from "../validity";
import { didYouMean } from "./did-you-mean";
import { featureGates } from "./feature-gates";
import { apiServerArgs, flagsOf } from "./flags";
import { jwtAuthenticators } from "./jwt-authenticators";
import { kubeletConfig } from "./kubelet-config";
import { isLabel, nodeLabels, nodeTaints } from "./node-marks";
import { architecture, tooSmall } from "../instance-types";
import { json, list, Problem } from "./problem";

/** A field that `read` converts from text to a value, or rejects by throwing a Problem. */
const field = <T>(read: (text: string) => T) =>
  z.string().transform((text, context): T => {
    try {
      return read(text.trim());
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      context.addIssue({ code: "custom", message: error.message, params: { remedy: error.remedy } });
      return z.NEVER;
    }
  });

/** A field that is not set if its text is empty. */
const optional = <T>(read: (text: string) => T) =>
  field((text): T | undefined => (text === "" ? undefined : read(text)));

const oneOf =
  <const T extends string>(words: readonly T[]) =>
  (text: string): T => {
    const found = words.find((word) => word === text);
    if (found === undefined)
      throw new Problem("is not one of the allowed values.", `Choose ${words.join(", ")}.${didYouMean(text, words)}`);
    return found;
  };

const integer =
  (least: number, most: number, why: string) =>
  (text: string): number => {
    if (!/^-?\d+(\.0+)?$/.test(text))
      throw new Problem("is not a whole number.", `Set a number from ${least} to ${most}.`);
    const value = Number(text);
    if (value < least || value > most) throw new Problem(why, `Set a number from ${least} to ${most}.`);
    return value;
  };

const bool = (text: string): boolean => oneOf(["true", "false"])(text) === "true";

const network =
  (least: number, most: number, example: string) =>
  (text: string): string => {
    const parsed = parseCidr(text);
    if (typeof parsed === "string")
      throw new Problem(`is not a valid network: ${parsed}.`, `Set a network such as ${example}.`);
    if (parsed.prefix < least || parsed.prefix > most)
      throw new Problem(`is a /${parsed.prefix}.`, `Use a network from /${least} to /${most}, such as ${example}.`);
    return text;
  };

function adminCidr(text: string): string {
  const remedy =
    'Set the network that you connect from: pulumi config set adminCidr "$(curl -s https://checkip.amazonaws.com)/32"';
  if (text === "") throw new Problem("is not set; without it, nobody can reach SSH or the API.", remedy);
  if (text.includes(":")) throw new Problem("is an IPv6 network; the cluster is IPv4 only.", remedy);
  if (address(text)) throw new Problem("is an address, not a network.", `For this single address, write ${text}/32.`);
  const parsed = parseCidr(text);
  if (typeof parsed === "string") throw new Problem(`is not a valid network: ${parsed}.`, remedy);
  if (size(parsed) > 2 ** 24) throw new Problem("opens SSH and the API to the world.", remedy);
  return text;
}

function instanceType(text: string): string {
  if (!architecture(text))
    throw new Problem(
      "is not an instance type for which Debian publishes an amd64 or arm64 image.",
      "Use a type such as t3.medium (amd64) or t4g.medium (arm64).",
    );
  if (tooSmall(text))
    throw new Problem("has fewer than 2 vCPUs or less than 2 GiB of memory.", "Use t3.small, t3.medium or larger.");
  return text;
}

function region(text: string): string {
  const regions = Object.values(Region) as string[];
  if (/^(cn|us-gov|us-iso[a-z]*|eu-isoe)-/.test(text))
    throw new Problem(
      "is in a separate AWS partition, in which Debian does not publish images under the same account.",
      "Choose a commercial region.",
    );
  if (!regions.includes(text))
    throw new Problem("is not an AWS region.", `Set a region such as ap-southeast-1.${didYouMean(text, regions)}`);
  return text;
}

function clusterName(text: string): string {
  if (!isLabel(text) || text.length > 32)
    throw new Problem(
      "is not a DNS label (RFC 1123) of at most 32 characters.",
      "Use lower-case letters, digits and hyphens, starting and ending with a letter or digit: pulumi config set clusterName my-lab",
    );
  return text;
}

const version =
  (known: readonly string[], minor: string) =>
  (text: string): string => {
    const choices = `Choose ${known.join(", ")}.`;
    if (!/^v\d+\.\d+\.\d+$/.test(text)) throw new Problem("is not a version in the form v1.2.3.", choices);
    if (!text.startsWith(`${minor}.`))
      throw new Problem(`is outside ${minor}.x, which the units and flags are written for.`, choices);
    if (!known.includes(text)) throw new Problem("is not one of the versions that were tested together.", choices);
    return text;
  };

const url = (text: string): string => {
  const parsed = URL.parse(text);
  if (!parsed || !["http:", "https:"].includes(parsed.protocol) || parsed.search || parsed.hash)
    throw new Problem(
      "is not an http or https base URL.",
      "Write it like https://mirror.example.org or http://10.0.0.1:8080/releases.",
    );
  return text.replace(/\/+$/, "");
};

/** A server that machines download from. */
const source = (text: string): string => {
  if (/^(localhost|127\.[\d.]+|0\.0\.0\.0|\[::1?\])$/.test(new URL(url(text)).hostname))
    throw new Problem(
      "is an address at which a machine reaches only itself.",
      "Write the one at which machines reach the server. On the local cloud, its own host is vpcCidr's first address, such as http://10.1.0.1:5000.",
    );
  return url(text);
};

const quantities = {
  cpu: { form: /^(\d+m|\d+(\.\d{1,3})?)$/, example: "100m or 0.5" },
  memory: { form: /^\d+(Ki|Mi|Gi|k|M|G)?$/, example: "256Mi or 1Gi" },
} as const;

function reservation(text: string): { cpu?: string; memory?: string } {
  const entries = Object.entries(json(text)).map(([key, value]): [string, string] => {
    const quantity = quantities[key as keyof typeof quantities];
    if (!quantity)
      throw new Problem(
        `has the key "${key}", which cannot be reserved.`,
        `Only cpu and memory can be reserved.${didYouMean(key, Object.keys(quantities))}`,
      );
    if (!quantity.form.test(String(value)))
      throw new Problem(
        `reserves ${key} "${String(value)}", which is not a quantity.`,
        `Write ${key} like ${quantity.example}.`,
      );
    return [key, String(value)];
  });
  return Object.fromEntries(entries);
}

/** Names that a certificate may contain: RFC 1123 names, with `*` as the first label if need be, and IPv4 addresses. */
function apiServerNames(text: string): string[] {
  const remedy = "pulumi config set --path 'apiServerNames[0]' k8s.example.org";
  const names = list(text, remedy);
  for (const name of names) {
    if (address(name)) continue;
    if (!name.replace(/^\*\./, "").split(".").every(isLabel) || name.length > 253)
      throw new Problem(
        `has "${name}", which is neither a DNS name nor an IPv4 address.`,
        `Write names in lower case, without a port or https://: ${remedy}`,
      );
    if (/^[\d.]+$/.test(name))
      throw new Problem(`has "${name}", which is not a complete IPv4 address.`, "Write it like 203.0.113.7.");
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Problem(`has "${twice}" twice.`, "Remove one of them.");
  return names;
}

function encryptionKey(text: string): string {
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") !== text)
    throw new Problem("is not base64.", "Create one: head -c 32 /dev/urandom | base64");
  if (bytes.length !== 32)
    throw new Problem(
      `is ${bytes.length} bytes long; secretbox takes 32.`,
      "Create one: head -c 32 /dev/urandom | base64",
    );
  return text;
}

/** Every key of the configuration. */
export const fields = {
  region: field(region),
  zones: field((text) => {
    if (!["1", "3"].includes(text))
      throw new Problem("must be 1 or 3, because the network is laid out for one zone or for three.", "Set 1 or 3.");
    return Number(text);
  }),
  controlPlaneCount: field((text) => {
    if (text === "2")
      throw new Problem("is worse than 1: etcd on two nodes stops as soon as either of them does.", "Set 1 or 3.");
    if (!["1", "3"].includes(text))
      throw new Problem("must be 1 or 3, the sizes that give etcd a useful quorum here.", "Set 1 or 3.");
    return Number(text);
  }),
  workerCount: field(integer(1, maxWorkers, "is out of range: the subnets have no addresses for that many workers.")),
  controlPlaneInstanceType: field(instanceType),
  workerInstanceType: field(instanceType),
  balancerInstanceType: field(instanceType),
  rootVolumeGiB: field(
    integer(
      10,
      16384,
      "is out of range: the image, container images and logs need 10 GiB, and gp3 volumes have at most 16384.",
    ),
  ),
  clusterName: field(clusterName),
  vpcCidr: field(network(16, 28, "10.0.0.0/16")),
  podCidr: field(network(8, 24, "10.200.0.0/16")),
  serviceCidr: field(network(12, 28, "10.32.0.0/24")),
  clusterDns: field((text) => {
    if (!address(text))
      throw new Problem("is not an IPv4 address.", "Set an address of serviceCidr, such as 10.32.0.10.");
    return text;
  }),
  adminCidr: field(adminCidr),
  adminAccess: field(oneOf(adminAccesses)),
  openNodePorts: field(bool),
  egress: field(oneOf(egresses)),
  apiEndpoint: optional(oneOf(apiEndpointKinds)),
  stage: field(oneOf(stages)),
  sshPrivateKeyFile: optional((path) => path),
  kubernetesVersion: field(version(kubernetesVersions, "v1.36")),
  etcdVersion: field(version(etcdVersions, "v3.6")),
  kubeProxyMode: field(oneOf(kubeProxyModes)),
  kubeReserved: field(reservation),
  systemReserved: field(reservation),
  apiServerArgs: field(apiServerArgs),
  apiServerNames: field(apiServerNames),
  jwtAuthenticators: field(jwtAuthenticators),
  controllerManagerArgs: field(flagsOf("kube-controller-manager")),
  schedulerArgs: field(flagsOf("kube-scheduler")),
  kubeletConfig: field(kubeletConfig),
  featureGates: field(featureGates),
  nodeLabels: field(nodeLabels),
  nodeTaints: field(nodeTaints),
  mirror: optional(source),
  registryMirror: optional(source),
  encryptionKey: optional(encryptionKey),
  certificateValidityHours: field(
    integer(
      leafValidityHours.least,
      leafValidityHours.most,
      `is out of range: below ${leafValidityHours.least} hours every run would warn of expiry, and beyond ${leafValidityHours.most} the CAs expire first.`,
    ),
  ),
  certificateEpoch: field(integer(0, 1_000_000, "must be a non-negative whole number.")),
  awsEndpoint: optional(url),
};

export type Fields = { [K in keyof typeof fields]: z.output<(typeof fields)[K]> };

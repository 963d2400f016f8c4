/**
 * What a shell is set up for must not change what a stack is: another account's AWS settings, another project's passphrase,
 * a company's proxy.
 */
import { createDecipheriv, pbkdf2Sync } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { passphraseFile } from "./places";
import type { Stack } from "./stack";

/** Variables to set, or with undefined to remove. */
export type Changes = Readonly<Record<string, string | undefined>>;

type Environment = Readonly<Record<string, string | undefined>>;

/** AWS settings that apply without a variable, switched off. */
const noAwsSettings = {
  AWS_CONFIG_FILE: "/dev/null",
  AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
  AWS_EC2_METADATA_DISABLED: "true",
};

/** What has to change in the environment of a command on a stack, and in that of the shell for which `make env` prints. */
export function shield(stack: Stack, environment: Environment): Changes {
  return { ...aws(stack, environment), ...passphrase(stack, environment), ...noProxy(stack, environment) };
}

/** Makes the changes in this process, which all of its child processes inherit. */
export function apply(changes: Changes): void {
  for (const [name, value] of Object.entries(changes))
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
}

/** The local cloud has its own credentials. A stack on AWS must not see that another one's `make env` said so. */
function aws({ isLocal }: Stack, environment: Environment): Changes {
  if (isLocal) {
    const theirs = Object.keys(environment).filter((name) => name.startsWith("AWS_"));
    return { ...Object.fromEntries(theirs.map((name) => [name, undefined])), ...noAwsSettings };
  }
  const ours = Object.entries(noAwsSettings).filter(([name, value]) => environment[name] === value);
  const areAll = ours.length === Object.keys(noAwsSettings).length;
  return areAll ? Object.fromEntries(ours.map(([name]) => [name, undefined])) : {};
}

/** Pulumi prefers a passphrase in the environment to the file that holds the stack's. */
function passphrase({ isLocal, effective }: Stack, environment: Environment): Changes {
  const given = environment["PULUMI_CONFIG_PASSPHRASE"];
  const isFiles = isLocal || environment["PULUMI_CONFIG_PASSPHRASE_FILE"] === passphraseFile;
  if (given === undefined || !isFiles) return {};
  const { encryptionsalt: salt } = effective;
  const belongs = salt !== undefined && !unlocks(ownPassphrase(), salt) && unlocks(given, salt);
  return belongs ? {} : { PULUMI_CONFIG_PASSPHRASE: undefined };
}

const ownPassphrase = (): string => (existsSync(passphraseFile) ? readFileSync(passphraseFile, "utf8").trim() : "");

/**
 * Whether a stack's secrets are encrypted with a passphrase. Pulumi's salt holds a known text, encrypted:
 * v1:<salt>:v1:<nonce>:<text>, in base64. The text ends with the tag of AES-GCM.
 */
export function unlocks(phrase: string, encryptionsalt: string): boolean {
  const [salt, nonce, text] = [1, 3, 4].map((part) => Buffer.from(encryptionsalt.split(":")[part] ?? "", "base64"));
  if (!salt || !nonce || !text || text.length < 16) return false;
  const decipher = createDecipheriv("aes-256-gcm", pbkdf2Sync(phrase, salt, 1_000_000, 32, "sha256"), nonce);
  decipher.setAuthTag(text.subarray(-16));
  try {
    return Buffer.concat([decipher.update(text.subarray(0, -16)), decipher.final()]).toString() === "pulumi";
  } catch {
    return false; // another key
  }
}

/** Hosts that no proxy can reach. Both spellings are in use: gRPC reads the lower case only, and prefers its own name. */
function noProxy({ isLocal, networks, region }: Stack, environment: Environment): Changes {
  const local = [...networks, `.elb.${region}.amazonaws.com`];
  const hosts = ["localhost", "127.0.0.1", "::1", ...(isLocal ? local : [])];
  const names = ["no_proxy", "NO_PROXY", "no_grpc_proxy"];
  const present = names.flatMap((name) => environment[name]?.split(",") ?? []).map((host) => host.trim());
  const value = [...new Set([...present.filter(Boolean), ...hosts])].join(",");
  const { no_grpc_proxy: grpc } = environment;
  return { no_proxy: value, NO_PROXY: value, ...(grpc ? { no_grpc_proxy: value } : {}) };
}

/** Reads the user's own SSH private key, checks that machines can be set up with it, and derives its public half. */
import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import type { ParsedKey } from "ssh2";

/** The private key as stored in its file, and the public key in OpenSSH's one-line form, without a comment. */
interface SshKey {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** What is wrong with the key file, and what to do about it. */
interface KeyFault {
  readonly fault: string;
  readonly remedy: string;
}

/** Reads and checks a private key file. EC2 accepts ED25519 and RSA keys only. */
export function readSshKey(file: string): SshKey | KeyFault {
  const path = resolve(file.replace(/^~(?=\/|$)/, homedir()));
  const privateKey = read(path);
  if (typeof privateKey !== "string") return privateKey;
  if (/^(ssh-|ecdsa-)/.test(privateKey))
    return {
      fault: "is a public key",
      remedy: `Set the path of the private key, probably ${file.replace(/\.pub$/, "")}.`,
    };

  const key = parseKey(privateKey);
  if (key instanceof Error)
    return /encrypted|passphrase/i.test(key.message)
      ? {
          fault: "is protected by a passphrase, which cannot be entered while machines are being set up",
          remedy: `Create a dedicated key without a passphrase: ssh-keygen -t ed25519 -N "" -f ~/.ssh/kubernetes-from-scratch`,
        }
      : { fault: `is not a private SSH key (${key.message})`, remedy: "Use a private key in OpenSSH or PEM format." };
  if (!key.isPrivateKey()) return { fault: "is a public key", remedy: "Set the path of the private key." };
  if (!["ssh-ed25519", "ssh-rsa"].includes(key.type))
    return { fault: `is of type ${key.type}, which EC2 does not accept`, remedy: "Use an ED25519 or an RSA key." };

  const publicKey = `${key.type} ${key.getPublicSSH().toString("base64")}`;
  const published = readOptional(`${path}.pub`);
  if (published !== undefined && published.split(/\s+/).slice(0, 2).join(" ") !== publicKey)
    return {
      fault: `does not match the public key beside it, ${file}.pub`,
      remedy: `Remove the stale file, or regenerate it: ssh-keygen -y -f ${file} > ${file}.pub`,
    };
  if (statSync(path).mode & 0o077)
    return { fault: "is readable by other users, so ssh rejects it", remedy: `Run: chmod 600 ${file}` };
  return { privateKey, publicKey };
}

function read(path: string): string | KeyFault {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const remedy = "Set the path of a private key, or unset the key and one is created for this stack.";
    if (code === "ENOENT") return { fault: "does not exist", remedy };
    if (code === "EISDIR") return { fault: "is a directory", remedy };
    return { fault: `cannot be read (${code})`, remedy: "Make it readable by the user who runs Pulumi." };
  }
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Loads ssh2 only if a key is configured, because loading it slows down the start of the program. */
function parseKey(text: string): ParsedKey | Error {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { utils } = require("ssh2") as typeof import("ssh2");
  const parsed = utils.parseKey(text);
  return Array.isArray(parsed) ? (parsed[0] ?? new Error("no key found in it")) : parsed;
}

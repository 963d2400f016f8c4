/** What a server really serves: the certificates of a TLS handshake, made through a machine of the cluster. */
import { X509Certificate } from "node:crypto";
import { connect, type DetailedPeerCertificate } from "node:tls";
import type { Nodes } from "./nodes";

/** A certificate as served, with its extensions in plain terms. */
export interface Served {
  readonly subject: string;
  readonly issuer: string;
  /** Names and addresses, such as DNS:kubernetes and IP:10.32.0.1. */
  readonly sans: readonly string[];
  /** "server", "client" or an OID. */
  readonly usages: readonly string[];
  readonly isCa: boolean;
  readonly validTo: string;
}

/** The result of a handshake. */
export interface Handshake extends Served {
  /** Subjects from the leaf upwards, as far as the served certificates and the given authority lead. */
  readonly chain: readonly string[];
  /** Whether TLS itself verified the chain up to the given authority. */
  readonly trusted: boolean;
}

const usages: Readonly<Record<string, string>> = { "1.3.6.1.5.5.7.3.1": "server", "1.3.6.1.5.5.7.3.2": "client" };

/**
 * Certificate of host:port as seen from `via`.
 * @param authority the only trusted certificate; without it, nothing is trusted. Either way the handshake continues,
 *   and the lab judges what it shows.
 */
export async function servedBy(
  nodes: Nodes,
  via: string,
  host: string,
  port: number,
  authority?: X509Certificate,
): Promise<Handshake> {
  const tunnel = nodes.tunnel(via, host, port);
  try {
    return await new Promise<Handshake>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`the TLS handshake with ${host}:${port} through ${via} timed out after 10 s`)),
        10_000,
      );
      const fail = (error: Error): void => {
        clearTimeout(timer);
        reject(new Error(`${host}:${port} through ${via}: ${error.message}`));
      };
      tunnel.on("error", fail);
      const options = {
        socket: tunnel,
        ca: authority ? [authority.toString()] : [],
        rejectUnauthorized: false,
        servername: "kubernetes",
        checkServerIdentity: () => undefined, // the lab judges the names
      };
      const socket = connect(options, () => {
        clearTimeout(timer);
        const leaf = socket.getPeerCertificate(true);
        // Typed as if always present; without a certificate the object is empty.
        if (!(leaf.raw as Buffer | undefined)) return fail(new Error("no certificate was served"));
        resolve({ ...describe(new X509Certificate(leaf.raw)), chain: chainOf(leaf), trusted: socket.authorized });
      });
      socket.on("error", fail);
    });
  } finally {
    tunnel.destroy();
  }
}

/** Subjects from a leaf to the last known issuer; a root is its own issuer. */
function chainOf(leaf: DetailedPeerCertificate): string[] {
  const chain: DetailedPeerCertificate[] = [];
  for (
    let next: DetailedPeerCertificate | undefined = leaf;
    next?.raw && !chain.some((known) => known.fingerprint256 === next?.fingerprint256);
    next = next.issuerCertificate
  )
    chain.push(next);
  return chain.map((certificate) => oneLine(new X509Certificate(certificate.raw).subject));
}

/** Describes a certificate in the report's terms. Pure. */
export function describe(x509: X509Certificate): Served {
  return {
    subject: oneLine(x509.subject),
    issuer: oneLine(x509.issuer),
    sans: (x509.subjectAltName ?? "")
      .split(", ")
      .filter(Boolean)
      .map((san) => san.replace(/^IP Address:/, "IP:")),
    usages: (x509.keyUsage ?? []).map((oid) => usages[oid] ?? oid).sort(),
    isCa: x509.ca,
    validTo: new Date(x509.validTo).toISOString(),
  };
}

/** Whether this CA signed the certificate, by name and by signature. */
export const issuedBy = (certificate: X509Certificate, ca: X509Certificate): boolean =>
  certificate.checkIssued(ca) && certificate.verify(ca.publicKey);

const oneLine = (name: string | undefined): string => (name ?? "").split("\n").sort().join(", ");

/** What a server really serves: the certificates of a TLS handshake, taken through a machine of the cluster. */
import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import type { Nodes } from "./nodes";

/** A certificate as it was served, in the terms of its extensions. */
export interface Served {
  readonly subject: string;
  readonly issuer: string;
  /** Names and addresses, such as DNS:kubernetes and IP:10.32.0.1. */
  readonly sans: readonly string[];
  /** "server", "client" or an OID. */
  readonly usages: readonly string[];
  readonly isCa: boolean;
  readonly validTo: string;
  readonly x509: X509Certificate;
}

const usages: Readonly<Record<string, string>> = { "1.3.6.1.5.5.7.3.1": "server", "1.3.6.1.5.5.7.3.2": "client" };

/** Certificate of host:port as `via` sees it. Nothing is verified here: that is what the lab does. */
export async function servedBy(nodes: Nodes, via: string, host: string, port: number): Promise<Served> {
  const tunnel = nodes.tunnel(via, host, port);
  try {
    const pem = await new Promise<X509Certificate>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no TLS handshake with ${host}:${port} through ${via} in 10 s`)),
        10_000,
      );
      tunnel.on("error", reject);
      const socket = connect({ socket: tunnel, rejectUnauthorized: false, servername: "kubernetes" }, () => {
        clearTimeout(timer);
        const certificate = socket.getPeerX509Certificate();
        if (certificate) resolve(certificate);
        else reject(new Error(`${host}:${port} served no certificate`));
      });
      socket.on("error", reject);
    });
    return describe(pem);
  } finally {
    tunnel.destroy();
  }
}

/** A certificate in the report's terms. Pure. */
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
    x509,
  };
}

/** Whether this CA signed the certificate: by name and by signature. */
export const issuedBy = (certificate: X509Certificate, ca: X509Certificate): boolean =>
  certificate.checkIssued(ca) && certificate.verify(ca.publicKey);

const oneLine = (name: string | undefined): string => (name ?? "").split("\n").sort().join(", ");

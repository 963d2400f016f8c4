/** The public-key infrastructure: creates the key material that cluster/material.ts lists. */
import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { type Authority, type Leaf, signingAuthority } from "../cluster/certificates";
import { renderKubeconfig } from "../cluster/kubeconfig";
import { type Administrator, type Material, type MaterialKey, materials, type PairName } from "../cluster/material";
import type { ClusterSpec } from "../cluster/spec";
import { caValidityHours, expiryWarningDays } from "../cluster/validity";

export interface PkiArgs {
  readonly spec: ClusterSpec;
  /** The cluster's Elastic IP, which the API server's certificate names as well. */
  readonly elasticIp: pulumi.Input<string>;
  /** The user's own key for Secrets at rest: 32 bytes in base64. */
  readonly encryptionKey?: string;
}

/** A key with its certificate, both as PEM. */
interface Pair {
  readonly cert: pulumi.Output<string>;
  readonly key: pulumi.Output<string>;
  /** When the certificate expires, in ISO 8601. */
  readonly validUntil: pulumi.Output<string>;
}

/** What a certificate is used for, and how long it is valid. */
type CertificateArgs = Pick<
  tls.LocallySignedCertArgs,
  "allowedUses" | "validityPeriodHours" | "isCaCertificate" | "setSubjectKeyId" | "earlyRenewalHours"
>;
const ca: CertificateArgs = {
  isCaCertificate: true,
  allowedUses: ["cert_signing", "crl_signing", "digital_signature"],
  validityPeriodHours: caValidityHours,
  setSubjectKeyId: true,
};

export class Pki extends pulumi.ComponentResource {
  /** When each certificate expires, in ISO 8601, by name. */
  readonly expiry: pulumi.Output<Record<string, string>>;
  private readonly pairs = new Map<Authority | PairName, Pair>();
  private readonly texts = new Map<MaterialKey, pulumi.Output<string>>();

  constructor(
    name: string,
    private readonly args: PkiArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    super("lab:infra:Pki", name, {}, options);
    for (const material of materials(args.spec)) this.make(material);
    this.expiry = pulumi.output(Object.fromEntries([...this.pairs].map(([of, { validUntil }]) => [of, validUntil])));
    this.expiry.apply((ends) => this.warnOfExpiry(ends));
    this.registerOutputs();
  }

  /** An item of the material, as a secret. @throws if a cluster of this shape does not have it. */
  material(key: MaterialKey): pulumi.Output<string> {
    const text = this.texts.get(key);
    if (!text) throw new Error(`the PKI of this cluster has no ${key}`);
    return pulumi.secret(text);
  }

  /**
   * An administrator's kubeconfig for an API server at this URL. Its names are the cluster's own, so that it can be merged
   * with those of other clusters.
   */
  administratorKubeconfig(who: Administrator, server: pulumi.Input<string>): pulumi.Output<string> {
    return this.kubeconfig(who, `${this.args.spec.clusterName}-${who}`, server);
  }

  private make(material: Material): void {
    switch (material.kind) {
      case "authority": {
        const root = this.authority(material.name);
        this.pairs.set(material.name, root);
        this.texts.set(`${material.name}/cert`, root.cert);
        return;
      }
      case "signing-authority": {
        const { name, commonName, issuer } = signingAuthority;
        return this.addPair(name, this.signed(name, this.pair(issuer), { subject: { commonName } }, ca));
      }
      case "leaf":
        return this.addPair(material.leaf.name, this.leaf(material.leaf));
      case "key-pair": {
        const { privateKeyPem, publicKeyPem } = this.privateKey(material.name);
        this.texts.set(`${material.name}/key`, privateKeyPem);
        this.texts.set(`${material.name}/public`, publicKeyPem);
        return;
      }
      case "bundle":
        this.texts.set(material.key, pulumi.concat(...material.of.map((key) => this.material(key))));
        return;
      case "encryption-key":
        this.texts.set(material.key, this.encryptionKey());
        return;
      case "kubeconfig":
        this.texts.set(material.key, this.kubeconfig(material.pair, material.user, material.server));
        return;
      default: {
        const never: never = material;
        throw new Error(`unknown material ${JSON.stringify(never)}`);
      }
    }
  }

  private addPair(name: PairName, pair: Pair): void {
    this.pairs.set(name, pair);
    this.texts.set(`${name}/cert`, pair.cert);
    this.texts.set(`${name}/key`, pair.key);
  }

  private pair(name: Authority | PairName): Pair {
    const pair = this.pairs.get(name);
    if (!pair) throw new Error(`${name} is used before it is made`);
    return pair;
  }

  private privateKey(name: string, options?: pulumi.CustomResourceOptions): tls.PrivateKey {
    return new tls.PrivateKey(name, { algorithm: "ECDSA", ecdsaCurve: "P256" }, { parent: this, ...options });
  }

  private authority(name: Authority): Pair {
    const key = this.privateKey(name);
    const certificate = new tls.SelfSignedCert(
      name,
      { privateKeyPem: key.privateKeyPem, subject: { commonName: name }, ...ca },
      { parent: this },
    );
    return { cert: certificate.certPem, key: key.privateKeyPem, validUntil: certificate.validityEndTime };
  }

  private leaf(leaf: Leaf): Pair {
    const { elasticIp, spec } = this.args;
    const request = {
      subject: { commonName: leaf.commonName, organization: leaf.organization },
      dnsNames: [...(leaf.dnsNames ?? [])],
      ipAddresses: [...(leaf.ipAddresses ?? []), ...(leaf.namesElasticIp ? [elasticIp] : [])],
    };
    const certificate = {
      allowedUses: ["digital_signature", ...leaf.uses],
      validityPeriodHours: spec.certificateValidityHours,
      // Renewal is a decision (certificateEpoch), and does not depend on the day on which Pulumi happens to run.
      earlyRenewalHours: 0,
    };
    return this.signed(leaf.name, this.pair(leaf.authority), request, certificate, {
      replacementTrigger: spec.certificateEpoch,
    });
  }

  /** A key, and its certificate signed by an issuer. @param renewal options for the resources that a renewal replaces. */
  private signed(
    name: string,
    issuer: Pair,
    subject: Omit<tls.CertRequestArgs, "privateKeyPem">,
    certificate: CertificateArgs,
    renewal?: pulumi.CustomResourceOptions,
  ): Pair {
    const key = this.privateKey(name, renewal);
    const request = new tls.CertRequest(name, { privateKeyPem: key.privateKeyPem, ...subject }, { parent: this });
    const { certPem, validityEndTime } = new tls.LocallySignedCert(
      name,
      { certRequestPem: request.certRequestPem, caCertPem: issuer.cert, caPrivateKeyPem: issuer.key, ...certificate },
      { parent: this, ...renewal },
    );
    return { cert: certPem, key: key.privateKeyPem, validUntil: validityEndTime };
  }

  private kubeconfig(pair: PairName, user: string, server: pulumi.Input<string>): pulumi.Output<string> {
    const { cert, key } = this.pair(pair);
    const cluster = this.args.spec.clusterName;
    return pulumi.secret(
      pulumi
        .all([server, this.pair("kubernetes-ca").cert, cert, key])
        .apply(([url, ca, cert, key]) => renderKubeconfig({ cluster, server: url, user, ca, cert, key })),
    );
  }

  /** 32 bytes in base64: the user's key, or the digest of a private key that exists only for this, in the state. */
  private encryptionKey(): pulumi.Output<string> {
    const { encryptionKey } = this.args;
    const seed = this.privateKey("encryption"); // also if it is not used, because it could never be made again
    if (encryptionKey) return pulumi.secret(encryptionKey);
    return seed.privateKeyPem.apply((pem) => createHash("sha256").update(pem).digest("base64"));
  }

  private warnOfExpiry(ends: Record<string, string>): void {
    const soon = Object.entries(ends).filter(
      ([, end]) => end && Date.parse(end) - Date.now() < expiryWarningDays * 24 * 3_600_000,
    );
    if (soon.length === 0) return;
    const list = soon.map(([of, end]) => `${of} (${end})`).join(", ");
    void pulumi.log.warn(
      `Certificates expire within ${expiryWarningDays} days: ${list}. Raise certificateEpoch by one to renew all of them.`,
      this,
    );
  }
}

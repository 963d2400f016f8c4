/** The public-key infrastructure: three CAs, a signer for the cluster, leaves, the service-account pair, the encryption key. */
import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { encryptionConfig } from "../bootstrap/steps/control-plane";
import { type Authority, authorities, type Leaf, leaves } from "../cluster/certificates";
import type { ClusterSpec } from "../cluster/spec";
import { expiryWarningDays } from "../cluster/config/fields";
import { renderKubeconfig } from "../cluster/kubeconfig";

export interface PkiArgs {
  readonly spec: ClusterSpec;
  /** The cluster's Elastic IP, which the API server's certificate names as well. */
  readonly elasticIp: pulumi.Input<string>;
  /** Hours that leaves are valid; CAs last 10 years. */
  readonly validityHours: number;
  /** Another number renews every leaf, key and all. */
  readonly epoch: number;
  /** The user's own key for Secrets at rest: 32 bytes of base64. */
  readonly encryptionKey?: string;
}

/** A key with its certificate, both as PEM. */
interface Pair {
  readonly cert: pulumi.Output<string>;
  readonly key: pulumi.Output<string>;
  readonly validUntil: pulumi.Output<string>;
}

const caValidityHours = 10 * 365 * 24;
const caUses = ["cert_signing", "crl_signing", "digital_signature"];

export class Pki extends pulumi.ComponentResource {
  /** PEM texts and files by the names that the bootstrap's steps ask for, such as etcd/controller-0/key. All are secret. */
  readonly material: Readonly<Record<string, pulumi.Output<string>>>;
  /** When each certificate ends, in ISO 8601, by its name. */
  readonly expiry: pulumi.Output<Record<string, string>>;
  /** The administrator's kubeconfig for an API server at this URL. */
  readonly adminKubeconfig: (server: pulumi.Input<string>) => pulumi.Output<string>;

  constructor(name: string, args: PkiArgs, options?: pulumi.ComponentResourceOptions) {
    super("lab:infra:Pki", name, {}, options);
    const { spec } = args;

    const cas = Object.fromEntries(authorities.map((ca) => [ca, this.authority(ca)])) as Record<Authority, Pair>;
    const signing = this.clusterSigning(cas["kubernetes-ca"]);
    const pairs = Object.fromEntries(
      leaves(spec).map((leaf) => [leaf.name, this.leaf(leaf, cas[leaf.authority], args)]),
    );
    const serviceAccount = this.privateKey("service-account");

    const kubeconfig = (pair: Pair, user: string, server: pulumi.Input<string>): pulumi.Output<string> =>
      pulumi.secret(
        pulumi
          .all([server, cas["kubernetes-ca"].cert, pair.cert, pair.key])
          .apply(([url, ca, cert, key]) => renderKubeconfig({ cluster: spec.name, server: url, user, ca, cert, key })),
      );
    const pair = (of: string): Pair => pairs[of] as Pair;
    const here = "https://127.0.0.1:6443";
    const anywhere = `https://${spec.apiName}:6443`;
    const nodes = [...spec.controllers, ...spec.workers].map((node) => node.name);

    this.material = Object.fromEntries(
      Object.entries({
        "kubernetes-ca/cert": cas["kubernetes-ca"].cert,
        "etcd-ca/cert": cas["etcd-ca"].cert,
        "front-proxy-ca/cert": cas["front-proxy-ca"].cert,
        "cluster-signing/cert": signing.cert,
        "cluster-signing/key": signing.key,
        "client-ca-bundle": pulumi.concat(cas["kubernetes-ca"].cert, signing.cert),
        ...Object.fromEntries(
          Object.entries(pairs).flatMap(([of, { cert, key }]) => [
            [`${of}/cert`, cert],
            [`${of}/key`, key],
          ]),
        ),
        "service-account/key": serviceAccount.privateKeyPem,
        "service-account/public": serviceAccount.publicKeyPem,
        "encryption-config": this.encryptionKey(args.encryptionKey).apply(encryptionConfig),
        "kubeconfig/admin": kubeconfig(pair("admin"), "kubernetes-admin", here),
        "kubeconfig/kube-controller-manager": kubeconfig(
          pair("kube-controller-manager"),
          "kube-controller-manager",
          here,
        ),
        "kubeconfig/kube-scheduler": kubeconfig(pair("kube-scheduler"), "kube-scheduler", here),
        "kubeconfig/kube-proxy": kubeconfig(pair("kube-proxy"), "kube-proxy", anywhere),
        ...Object.fromEntries(
          nodes.map((node) => [`kubeconfig/kubelet/${node}`, kubeconfig(pair(`kubelet/${node}`), node, anywhere)]),
        ),
      }).map(([key, value]) => [key, pulumi.secret(value)]),
    );
    this.adminKubeconfig = (server) => kubeconfig(pair("admin"), "kubernetes-admin", server);
    this.expiry = pulumi.output(
      Object.fromEntries(
        Object.entries({ ...cas, "cluster-signing": signing, ...pairs }).map(([of, { validUntil }]) => [
          of,
          validUntil,
        ]),
      ),
    );
    this.expiry.apply((ends) => this.warnOfExpiry(ends));
    this.registerOutputs();
  }

  private privateKey(name: string, options?: pulumi.CustomResourceOptions): tls.PrivateKey {
    return new tls.PrivateKey(name, { algorithm: "ECDSA", ecdsaCurve: "P256" }, { parent: this, ...options });
  }

  private authority(name: Authority): Pair {
    const key = this.privateKey(name);
    const certificate = new tls.SelfSignedCert(
      name,
      {
        privateKeyPem: key.privateKeyPem,
        subject: { commonName: name },
        isCaCertificate: true,
        allowedUses: caUses,
        validityPeriodHours: caValidityHours,
        setSubjectKeyId: true,
      },
      { parent: this },
    );
    return { cert: certificate.certPem, key: key.privateKeyPem, validUntil: certificate.validityEndTime };
  }

  /** What the controller manager signs certificate requests with: no machine ever holds the key of a root. */
  private clusterSigning(root: Pair): Pair {
    const name = "cluster-signing";
    const key = this.privateKey(name);
    const request = new tls.CertRequest(
      name,
      { privateKeyPem: key.privateKeyPem, subject: { commonName: "kubernetes-cluster-signing" } },
      { parent: this },
    );
    const certificate = new tls.LocallySignedCert(
      name,
      {
        certRequestPem: request.certRequestPem,
        caCertPem: root.cert,
        caPrivateKeyPem: root.key,
        isCaCertificate: true,
        allowedUses: caUses,
        validityPeriodHours: caValidityHours,
        setSubjectKeyId: true,
      },
      { parent: this },
    );
    return { cert: certificate.certPem, key: key.privateKeyPem, validUntil: certificate.validityEndTime };
  }

  private leaf(leaf: Leaf, ca: Pair, { elasticIp, validityHours, epoch }: PkiArgs): Pair {
    const renewal = { replacementTrigger: epoch };
    const key = this.privateKey(leaf.name, renewal);
    const request = new tls.CertRequest(
      leaf.name,
      {
        privateKeyPem: key.privateKeyPem,
        subject: { commonName: leaf.commonName, organization: leaf.organization },
        dnsNames: [...(leaf.dnsNames ?? [])],
        ipAddresses: [...(leaf.ipAddresses ?? []), ...(leaf.namesElasticIp ? [elasticIp] : [])],
      },
      { parent: this },
    );
    const certificate = new tls.LocallySignedCert(
      leaf.name,
      {
        certRequestPem: request.certRequestPem,
        caCertPem: ca.cert,
        caPrivateKeyPem: ca.key,
        allowedUses: ["digital_signature", ...leaf.uses],
        validityPeriodHours: validityHours,
        // Renewal is a decision (certificateEpoch), never a matter of the day on which Pulumi happens to run.
        earlyRenewalHours: 0,
      },
      { parent: this, ...renewal },
    );
    return { cert: certificate.certPem, key: key.privateKeyPem, validUntil: certificate.validityEndTime };
  }

  /** 32 bytes of base64: the user's, or the digest of a private key that is made for this alone and kept in the state. */
  private encryptionKey(own?: string): pulumi.Output<string> {
    if (own) return pulumi.secret(own);
    const seed = this.privateKey("encryption");
    return seed.privateKeyPem.apply((pem) => createHash("sha256").update(pem).digest("base64"));
  }

  private warnOfExpiry(ends: Record<string, string>): void {
    const soon = Object.entries(ends).filter(
      ([, end]) => end && Date.parse(end) - Date.now() < expiryWarningDays * 24 * 3_600_000,
    );
    if (soon.length === 0) return;
    const list = soon.map(([of, end]) => `${of} (${end})`).join(", ");
    void pulumi.log.warn(
      `Certificates end within ${expiryWarningDays} days: ${list}. Renew all of them by raising certificateEpoch by one.`,
      this,
    );
  }
}

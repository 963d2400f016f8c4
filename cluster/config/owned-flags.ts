/**
 * Flags of kube-apiserver that follow from the rest of the configuration or from the PKI. Any other value would break the
 * cluster or weaken its security, so apiServerArgs rejects them. https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
 */
const reasons: readonly (readonly [reason: string, flags: readonly string[]])[] = [
  ["its certificates come from the PKI.", ["tls-cert-file", "tls-private-key-file", "client-ca-file", "cert-dir"]],
  [
    "the etcd members and certificates follow from controlPlaneCount and the PKI.",
    [
      "etcd-servers",
      "etcd-cafile",
      "etcd-certfile",
      "etcd-keyfile",
      "etcd-prefix",
      "storage-backend",
      "etcd-servers-overrides",
    ],
  ],
  [
    "the kubelets' certificates come from the PKI.",
    [
      "kubelet-certificate-authority",
      "kubelet-client-certificate",
      "kubelet-client-key",
      "kubelet-preferred-address-types",
    ],
  ],
  ["it follows from serviceCidr; set that instead.", ["service-cluster-ip-range", "kubernetes-service-node-port"]],
  ["the security groups open exactly 30000-32767.", ["service-node-port-range"]],
  [
    "service-account tokens are signed with the key pair of the PKI.",
    [
      "service-account-issuer",
      "service-account-key-file",
      "service-account-signing-key-file",
      "service-account-signing-endpoint",
    ],
  ],
  [
    "the certificates of the aggregation layer come from the PKI.",
    [
      ...["proxy-client-cert-file", "proxy-client-key-file", "requestheader-client-ca-file"],
      ...["requestheader-allowed-names", "requestheader-extra-headers-prefix", "requestheader-group-headers"],
      "requestheader-username-headers",
    ],
  ],
  [
    "security groups and health checks depend on this port and address.",
    ["secure-port", "bind-address", "advertise-address"],
  ],
  [
    "the authentication configuration limits anonymous requests to health checks.",
    ["anonymous-auth", "authentication-config"],
  ],
  [
    "users come from the authentication configuration, with which an API server that is also given OIDC flags does not start.",
    [
      "oidc-ca-file",
      "oidc-client-id",
      "oidc-groups-claim",
      "oidc-groups-prefix",
      "oidc-issuer-url",
      "oidc-required-claim",
      "oidc-signing-algs",
      "oidc-username-claim",
      "oidc-username-prefix",
    ],
  ],
  [
    "every request is authorized by Node and RBAC.",
    [
      "authorization-mode",
      "authorization-config",
      "authorization-policy-file",
      "authorization-webhook-config-file",
      "authorization-webhook-version",
      "authorization-webhook-cache-authorized-ttl",
      "authorization-webhook-cache-unauthorized-ttl",
    ],
  ],
  ["it limits the rate of events.", ["admission-control-config-file"]],
  [
    "tokens of service accounts end with their service account, and after an hour.",
    ["service-account-lookup", "service-account-extend-token-expiration"],
  ],
  ["a debug socket asks nobody who they are.", ["debug-socket-path"]],
  ["a server that is given it prints something and exits.", ["help", "version"]],
  [
    "Secrets are encrypted at rest with encryptionKey.",
    ["encryption-provider-config", "encryption-provider-config-automatic-reload"],
  ],
  ["a token file is a password that nothing rotates.", ["token-auth-file"]],
  ["the pod network needs privileged pods.", ["allow-privileged"]],
  ["the audit policy and its log are the record of the cluster.", ["audit-policy-file", "audit-log-path"]],
];

/** Flag -> the reason why the program sets it, as the end of a sentence. */
export const ownedFlags: Readonly<Record<string, string>> = Object.fromEntries(
  reasons.flatMap(([reason, flags]) => flags.map((flag) => [flag, reason])),
);

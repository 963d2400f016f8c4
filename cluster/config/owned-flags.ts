/**
 * Flags of the control plane's components that follow from the rest of the configuration or from the PKI. Any other value
 * would break the cluster or weaken its security, so apiServerArgs, controllerManagerArgs and schedulerArgs reject them.
 * https://kubernetes.io/docs/reference/command-line-tools-reference/
 */

/** Why the program sets these itself, as the end of a sentence. */
type Reasons = readonly (readonly [reason: string, flags: readonly string[]])[];

/** What all components have in common. */
const common: Reasons = [
  ["its certificates come from the PKI.", ["tls-cert-file", "tls-private-key-file", "client-ca-file", "cert-dir"]],
  ["a server that is given it prints something and exits.", ["help", "version"]],
  ["featureGates sets them for every component; set that instead.", ["feature-gates"]],
];

const apiServer: Reasons = [
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
    "users come from the authentication configuration, with which an API server that is also given OIDC flags does not start; set jwtAuthenticators instead.",
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
  [
    "Secrets are encrypted at rest with encryptionKey.",
    ["encryption-provider-config", "encryption-provider-config-automatic-reload"],
  ],
  ["a token file is a password that nothing rotates.", ["token-auth-file"]],
  ["the pod network needs privileged pods.", ["allow-privileged"]],
  ["the audit policy and its log are the record of the cluster.", ["audit-policy-file", "audit-log-path"]],
];

/** What the controller manager and the scheduler have in common. */
const clients: Reasons = [
  [
    "their users and rights are those of the PKI and of Kubernetes' own roles.",
    [
      ...[
        "kubeconfig",
        "master",
        "authentication-kubeconfig",
        "authorization-kubeconfig",
        "authentication-skip-lookup",
      ],
      ...["authentication-tolerate-lookup-failure", "authorization-always-allow-paths"],
      ...["requestheader-client-ca-file", "requestheader-allowed-names", "requestheader-extra-headers-prefix"],
      ...["requestheader-group-headers", "requestheader-uid-headers", "requestheader-username-headers"],
    ],
  ],
  ["health checks depend on this port and address, which nobody else can reach.", ["secure-port", "bind-address"]],
  [
    "with several control-plane nodes, exactly one of these leads.",
    ["leader-elect", "leader-elect-resource-lock", "leader-elect-resource-name", "leader-elect-resource-namespace"],
  ],
];

const controllerManager: Reasons = [
  ["it follows from podCidr; set that instead.", ["cluster-cidr"]],
  ["it follows from serviceCidr; set that instead.", ["service-cluster-ip-range"]],
  ["it follows from clusterName; set that instead.", ["cluster-name"]],
  [
    "each node has its range of pods from the program, and there is no cloud controller.",
    [
      ...["allocate-node-cidrs", "cidr-allocator-type", "configure-cloud-routes", "cloud-provider", "cloud-config"],
      ...[
        "node-cidr-mask-size",
        "node-cidr-mask-size-ipv4",
        "node-cidr-mask-size-ipv6",
        "external-cloud-volume-plugin",
      ],
    ],
  ],
  [
    "certificates and tokens are signed with the keys of the PKI.",
    [
      ...["cluster-signing-cert-file", "cluster-signing-key-file", "root-ca-file", "service-account-private-key-file"],
      ...["kube-apiserver-client", "kubelet-client", "kubelet-serving", "legacy-unknown"].flatMap((signer) => [
        `cluster-signing-${signer}-cert-file`,
        `cluster-signing-${signer}-key-file`,
      ]),
    ],
  ],
  ["each controller has a service account of its own.", ["use-service-account-credentials"]],
];

const scheduler: Reasons = [["it is the file of its configuration.", ["config", "write-config-to"]]];

const byFlag = (...reasons: readonly Reasons[]): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(reasons.flat().flatMap(([reason, flags]) => flags.map((flag) => [flag, reason])));

/** By component: flag -> the reason why the program sets it, as the end of a sentence. */
export const ownedFlags = {
  "kube-apiserver": byFlag(common, apiServer),
  "kube-controller-manager": byFlag(common, clients, controllerManager),
  "kube-scheduler": byFlag(common, clients, scheduler),
};

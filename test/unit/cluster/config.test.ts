/** Every fault that a configuration can have, and what is accepted. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatFaults, parseConfig } from "../../../cluster/config";
import { completeConfig } from "../../../cluster/config/complete";
import { fields } from "../../../cluster/config/fields";
import { readSshKey } from "../../../lib/ssh-key";
import { readProjectFile } from "../../../tools/project-file";

const project = readProjectFile();
const good = { adminCidr: "203.0.113.7/32" };
const key32 = Buffer.alloc(32, 7).toString("base64");

/** Faults of a configuration as "key: problem remedy". */
function faults(values: Record<string, unknown>, stack = "dev", secretKeys: string[] = ["encryptionKey"]): string[] {
  const result = parseConfig(completeConfig(project, { ...good, ...values }), { stack, secretKeys, readSshKey });
  return "faults" in result ? result.faults.map(({ key, problem, remedy }) => `${key}: ${problem} ${remedy}`) : [];
}

const oidc = {
  issuer: { url: "https://issuer.example.org", audiences: ["kubernetes"] },
  claimMappings: { username: { claim: "sub", prefix: "oidc:" } },
};
const issuer = (changes: object) => ({ jwtAuthenticators: [{ ...oidc, issuer: { ...oidc.issuer, ...changes } }] });
const username = (mapping: object) => ({ jwtAuthenticators: [{ ...oidc, claimMappings: { username: mapping } }] });

describe("a valid configuration", () => {
  it.each<[string, Record<string, unknown>]>([
    ["has the defaults and adminCidr", {}],
    ["is highly available in three zones", { controlPlaneCount: 3, zones: 3 }],
    ["has the shape of the series", { controlPlaneCount: 3, apiEndpoint: "haproxy" }],
    ["keeps its load balancer with one control-plane node", { controlPlaneCount: 1, apiEndpoint: "nlb" }],
    ["mixes architectures", { workerInstanceType: "t4g.medium" }],
    ["uses a small VPC", { vpcCidr: "10.5.4.0/23" }],
    ["has reservations", { kubeReserved: { cpu: "100m", memory: "256Mi" }, systemReserved: { cpu: "0.1" } }],
    ["has flags", { apiServerArgs: { v: 4, "event-ttl": "2h" } }],
    ["adds an admission plugin", { apiServerArgs: { "enable-admission-plugins": "PodNodeSelector" } }],
    [
      "has flags of every form",
      {
        apiServerArgs: {
          "goaway-chance": 0.001,
          profiling: true,
          "runtime-config": "api/beta=true",
          "tls-min-version": "VersionTLS13",
          "etcd-compaction-interval": "1h30m",
          "cors-allowed-origins": "^https://a b\\.example$",
          "audit-log-truncate-max-event-size": 102400,
          "tls-curve-preferences": "4588,29",
        },
      },
    ],
    ["has labels", { nodeLabels: { "example.org/disk": "ssd" } }],
    ["has labels of one node", { nodeLabels: { tier: "web", "worker-1": { disk: "ssd" }, "controller-0": { a: "" } } }],
    [
      "has taints",
      {
        nodeTaints: {
          workers: ["dedicated=lab:NoSchedule", "slow:PreferNoSchedule"],
          "worker-0": ["dedicated=x:NoExecute"],
        },
      },
    ],
    ["has feature gates", { featureGates: { ContextualLogging: true, AllAlpha: "false" } }],
    [
      "has settings of the kubelet",
      {
        kubeletConfig: {
          maxPods: 250,
          syncFrequency: "30s",
          evictionHard: { "memory.available": "200Mi" },
          cpuCFSQuota: false,
        },
      },
    ],
    ["has flags of the controller manager", { controllerManagerArgs: { "node-monitor-grace-period": "20s", v: 2 } }],
    ["has flags of the scheduler", { schedulerArgs: { "leader-elect-lease-duration": "10s" } }],
    ["takes users from an issuer", { jwtAuthenticators: [oidc] }],
    [
      "takes users from an issuer by expressions",
      {
        jwtAuthenticators: [
          {
            issuer: {
              ...oidc.issuer,
              audiences: ["a", "b"],
              audienceMatchPolicy: "MatchAny",
              discoveryURL: "https://inside.example.org/.well-known/openid-configuration",
            },
            claimMappings: {
              username: { expression: "claims.email" },
              groups: { claim: "groups", prefix: "" },
              uid: { claim: "sub" },
              extra: [{ key: "example.org/team", valueExpression: "claims.team" }],
            },
            claimValidationRules: [{ claim: "hd", requiredValue: "example.org" }],
            userValidationRules: [{ expression: "!user.username.startsWith('system:')", message: "reserved" }],
          },
        ],
      },
    ],
    ["has more names", { apiServerNames: ["k8s.example.org", "*.lab.test", "localhost", "192.0.2.1"] }],
    ["opens nothing outside but downloads", { egress: "downloads" }],
    ["is administered through the VPC", { adminAccess: "private", adminCidr: "10.0.0.1/32" }],
    ["has an encryption key", { encryptionKey: key32 }],
    ["has mirrors", { mirror: "http://10.0.0.1:8080/", registryMirror: "https://registry.example.org" }],
  ])("%s", (_, values) => expect(faults(values)).toEqual([]));

  it("gives one control-plane node an Elastic IP and three a load balancer", () => {
    const endpoint = (values: Record<string, unknown>) => {
      const result = parseConfig(completeConfig(project, { ...good, ...values }), { stack: "dev", readSshKey });
      return "config" in result ? result.config.apiEndpoint : result.faults;
    };
    expect(endpoint({})).toBe("elastic-ip");
    expect(endpoint({ controlPlaneCount: 3, zones: 3 })).toBe("nlb");
  });
});

describe("an invalid configuration", () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ["control-plane count of two", { controlPlaneCount: 2 }, /^controlPlaneCount: .*worse than 1/],
    ["control-plane count of zero", { controlPlaneCount: 0 }, /^controlPlaneCount: .*quorum/],
    ["control-plane count of five", { controlPlaneCount: 5 }, /^controlPlaneCount: .*Set 1 or 3/],
    ["control-plane count as a word", { controlPlaneCount: "three" }, /^controlPlaneCount: /],
    ["negative workers", { workerCount: -1 }, /^workerCount: /],
    ["fractional workers", { workerCount: 2.5 }, /^workerCount: is not a whole number/],
    ["no workers", { workerCount: 0 }, /^workerCount: .*1 to 233/],
    ["more workers than addresses", { workerCount: 234 }, /^workerCount: .*addresses/],
    ["more nodes than blocks for pods", { podCidr: "10.200.0.0/20", workerCount: 14 }, /^podCidr: has 16 blocks/],
    ["two zones", { zones: 2 }, /^zones: .*Set 1 or 3/],
    ["three control-plane nodes in one zone", { controlPlaneCount: 3 }, /^zones: .*haproxy/],
    [
      "three control-plane nodes behind one machine's address",
      { controlPlaneCount: 3, zones: 3, apiEndpoint: "elastic-ip" },
      /^apiEndpoint: .*nlb/,
    ],
    ["an unknown kind of endpoint", { apiEndpoint: "alb" }, /^apiEndpoint: .*Did you mean nlb\?/],
    ["a network without a prefix length", { vpcCidr: "10.0.0.0" }, /^vpcCidr: .*is not an IPv4 network/],
    ["a network with host bits", { vpcCidr: "10.0.0.5/16" }, /^vpcCidr: .*host bits.*10\.0\.0\.0\/16/],
    ["a VPC that is too large for AWS", { vpcCidr: "10.0.0.0/12" }, /^vpcCidr: .*\/16 to \/28/],
    ["a VPC that is too small for AWS", { vpcCidr: "10.0.0.0/29" }, /^vpcCidr: .*\/16 to \/28/],
    ["a VPC too small for three zones", { vpcCidr: "10.0.0.0/23", zones: 3 }, /^vpcCidr: has 2 blocks/],
    ["a pod network inside the VPC", { podCidr: "10.0.128.0/17" }, /^podCidr: overlaps vpcCidr/],
    [
      "a service network inside the VPC",
      { serviceCidr: "10.0.0.0/24", clusterDns: "10.0.0.10" },
      /^serviceCidr: overlaps vpcCidr/,
    ],
    [
      "a service network inside the pod network",
      { serviceCidr: "10.200.9.0/24", clusterDns: "10.200.9.10" },
      /^serviceCidr: overlaps podCidr/,
    ],
    ["an administrator inside the pod network", { adminCidr: "10.200.1.0/24" }, /^adminCidr: overlaps podCidr/],
    ["an administrator inside the service network", { adminCidr: "10.32.0.0/30" }, /^adminCidr: overlaps serviceCidr/],
    ["a public administrator inside the VPC", { adminCidr: "10.0.7.0/24" }, /^adminCidr: .*adminAccess/],
    [
      "a private administrator's network that contains a subnet",
      { adminAccess: "private", adminCidr: "10.0.0.0/16" },
      /^adminCidr: contains a subnet/,
    ],
    ["no administrator", { adminCidr: "" }, /^adminCidr: is not set.*checkip/],
    ["the world as administrator", { adminCidr: "0.0.0.0/0" }, /^adminCidr: opens SSH and the API to the world/],
    ["half the world as administrator", { adminCidr: "128.0.0.0/1" }, /^adminCidr: opens/],
    ["an administrator without a prefix length", { adminCidr: "203.0.113.7" }, /^adminCidr: .*203\.0\.113\.7\/32/],
    ["an IPv6 administrator", { adminCidr: "2001:db8::/32" }, /^adminCidr: .*IPv6/],
    ["an unknown kind of access", { adminAccess: "vpn" }, /^adminAccess: .*public, private/],
    ["a DNS address that is not an IPv4 address", { clusterDns: "dns" }, /^clusterDns: is not an IPv4 address/],
    [
      "a DNS address outside the service network",
      { clusterDns: "10.33.0.10" },
      /^clusterDns: is outside serviceCidr.*10\.32\.0\.10/,
    ],
    ["the DNS address of the Service kubernetes", { clusterDns: "10.32.0.1" }, /^clusterDns: .*kubernetes/],
    ["an older minor version", { kubernetesVersion: "v1.35.2" }, /^kubernetesVersion: is outside v1\.36\.x/],
    ["a patch that was not tested", { kubernetesVersion: "v1.36.99" }, /^kubernetesVersion: .*tested/],
    ["a version without its v", { kubernetesVersion: "1.36.3" }, /^kubernetesVersion: is not a version/],
    ["another minor version of etcd", { etcdVersion: "v3.5.21" }, /^etcdVersion: is outside v3\.6\.x/],
    ["a region that does not exist", { region: "ap-southeast-11" }, /^region: is not an AWS region.*Did you mean/],
    ["a region in another partition", { region: "cn-north-1" }, /^region: .*partition/],
    [
      "an instance type that does not exist",
      { workerInstanceType: "medium" },
      /^workerInstanceType: is not an instance type/,
    ],
    ["an architecture without an image", { workerInstanceType: "mac2.metal" }, /^workerInstanceType: .*amd64 or arm64/],
    ["too little memory", { controlPlaneInstanceType: "t3.micro" }, /^controlPlaneInstanceType: .*2 GiB/],
    ["too few CPUs", { workerInstanceType: "m6g.medium" }, /^workerInstanceType: has fewer than 2 vCPUs/],
    ["a balancer that is too small", { balancerInstanceType: "t2.small" }, /^balancerInstanceType: /],
    ["a disk that is too small", { rootVolumeGiB: 8 }, /^rootVolumeGiB: .*10/],
    ["a name with capitals", { clusterName: "MyLab" }, /^clusterName: .*RFC 1123/],
    ["a name that is too long", { clusterName: "a".repeat(33) }, /^clusterName: .*32/],
    ["an encryption key that is not base64", { encryptionKey: "not base64!" }, /^encryptionKey: is not base64/],
    [
      "an encryption key of the wrong length",
      { encryptionKey: Buffer.alloc(16).toString("base64") },
      /^encryptionKey: is 16 bytes/,
    ],
    ["certificates that expire too soon", { certificateValidityHours: 24 }, /^certificateValidityHours: .*1440/],
    [
      "certificates that outlive their CA",
      { certificateValidityHours: 900_000 },
      /^certificateValidityHours: .*CAs expire first/,
    ],
    ["a negative epoch", { certificateEpoch: -1 }, /^certificateEpoch: /],
    ["an unknown stage", { stage: "worker" }, /^stage: .*Did you mean workers\?/],
    ["a proxy mode that is not supported", { kubeProxyMode: "ipvs" }, /^kubeProxyMode: .*iptables, nftables/],
    [
      "a reservation of an unknown resource",
      { kubeReserved: { mem: "1Gi" } },
      /^kubeReserved: has the key "mem", which cannot be reserved/,
    ],
    ["a reservation that is not a quantity", { kubeReserved: { memory: "a lot" } }, /^kubeReserved: .*256Mi/],
    [
      "reservations of all memory",
      { kubeReserved: { memory: "3Gi" }, systemReserved: { memory: "1Gi" } },
      /leave no memory/,
    ],
    ["reservations of all CPUs", { kubeReserved: { cpu: "2" } }, /leave no CPU/],
    ["a reservation that is a list", { systemReserved: "[1]" }, /^systemReserved: is not a map/],
    ["a flag with dashes", { apiServerArgs: { "--v": "4" } }, /^apiServerArgs: .*Write v/],
    [
      "a flag that the program sets",
      { apiServerArgs: { "etcd-servers": "http://x" } },
      /^apiServerArgs: sets etcd-servers/,
    ],
    [
      "anonymous access through a flag",
      { apiServerArgs: { "anonymous-auth": "true" } },
      /^apiServerArgs: sets anonymous-auth/,
    ],
    [
      "a flag that does not exist",
      { apiServerArgs: { "event-tll": "2h" } },
      /^apiServerArgs: has "event-tll", which is not a flag.*Did you mean event-ttl\?/,
    ],
    [
      "a flag that has been removed",
      { apiServerArgs: { "cloud-provider": "aws" } },
      /^apiServerArgs: has "cloud-provider", which is not a flag of kube-apiserver v1\.36/,
    ],
    ["a flag that every object inherits", { apiServerArgs: { constructor: "x" } }, /^apiServerArgs: has "constructor"/],
    [
      "a deprecated flag",
      { apiServerArgs: { "admission-control": "PodSecurity" } },
      /^apiServerArgs: .*deprecated: Use --enable-admission-plugins/,
    ],
    [
      "OIDC beside the authentication configuration",
      { apiServerArgs: { "oidc-issuer-url": "https://dex.example.com" } },
      /^apiServerArgs: sets oidc-issuer-url.*does not start/,
    ],
    [
      "a flag with which the program only prints",
      { apiServerArgs: { version: "true" } },
      /^apiServerArgs: sets version/,
    ],
    [
      "an old version of TLS",
      { apiServerArgs: { "tls-min-version": "VersionTLS10" } },
      /^apiServerArgs: .*VersionTLS12 or VersionTLS13/,
    ],
    [
      "a truth value that is neither",
      { apiServerArgs: { profiling: "yes" } },
      /^apiServerArgs: gives profiling the value "yes", which is not true or false/,
    ],
    [
      "a number that is none",
      { apiServerArgs: { "max-requests-inflight": "many" } },
      /^apiServerArgs: .*"many", which is not a whole number/,
    ],
    [
      "a level of verbosity that is none",
      { apiServerArgs: { v: "debug" } },
      /^apiServerArgs: gives v the value "debug"/,
    ],
    [
      "a duration without a unit",
      { apiServerArgs: { "event-ttl": 7200 } },
      /^apiServerArgs: .*"7200", which is not a duration\. Write it like 90s/,
    ],
    [
      "a chance that is none",
      { apiServerArgs: { "goaway-chance": "1 %" } },
      /^apiServerArgs: .*"1 %", which is not a number/,
    ],
    [
      "a gate as a flag",
      { apiServerArgs: { "feature-gates": "ContextualLogging=true" } },
      /^apiServerArgs: sets feature-gates.*featureGates/,
    ],
    ["a value of several lines", { apiServerArgs: { "external-hostname": "a\nb" } }, /^apiServerArgs: .*single line/],
    ["a list as a value", { apiServerArgs: { "api-audiences": ["a", "b"] } }, /^apiServerArgs: .*single line/],
    [
      "an admission plugin that does not exist",
      { apiServerArgs: { "enable-admission-plugins": "PodNodeSelecter" } },
      /^apiServerArgs: .*Did you mean PodNodeSelector\?/,
    ],
    [
      "an admission plugin that stops the cluster",
      { apiServerArgs: { "enable-admission-plugins": "AlwaysDeny" } },
      /^apiServerArgs: .*refuses every request/,
    ],
    [
      "admission without NodeRestriction",
      { apiServerArgs: { "disable-admission-plugins": "PodSecurity,NodeRestriction" } },
      /^apiServerArgs: disables .*NodeRestriction, which limits a kubelet/,
    ],
    [
      "a plugin that is enabled and disabled",
      { apiServerArgs: { "enable-admission-plugins": "PodSecurity", "disable-admission-plugins": "PodSecurity" } },
      /^apiServerArgs: both enables and disables/,
    ],
    [
      "a label reserved for Kubernetes",
      { nodeLabels: { "node-role.kubernetes.io/x": "" } },
      /^nodeLabels: .*reserved for Kubernetes/,
    ],
    ["a name with a port", { apiServerNames: ["k8s.example.org:6443"] }, /^apiServerNames: has "k8s.example.org:6443"/],
    ["a URL as a name", { apiServerNames: ["https://k8s.example.org"] }, /^apiServerNames: .*without a port or https/],
    ["a name in capitals", { apiServerNames: ["K8s.example.org"] }, /^apiServerNames: .*lower case/],
    ["half an address", { apiServerNames: ["10.0.0"] }, /^apiServerNames: .*not a complete IPv4 address/],
    ["an IPv6 address", { apiServerNames: ["::1"] }, /^apiServerNames: /],
    ["a name twice", { apiServerNames: ["a.test", "a.test"] }, /^apiServerNames: has "a.test" twice/],
    ["names that are no list", { apiServerNames: "a.test" }, /^apiServerNames: is not a list.*--path/],
    ["names that are numbers", { apiServerNames: [1] }, /^apiServerNames: is not a list/],
    ["an egress that does not exist", { egress: "anywere" }, /^egress: .*did you mean.*anywhere/i],
    ["a label that is not valid", { nodeLabels: { "a b": "c" } }, /^nodeLabels: /],
    [
      "labels of a node that does not exist",
      { nodeLabels: { "worker-9": { a: "b" } } },
      /^nodeLabels: names the node "worker-9".*worker-0, worker-1/,
    ],
    [
      "a label of one node that is reserved",
      { nodeLabels: { "worker-1": { "kubernetes.io/os": "x" } } },
      /^nodeLabels: sets kubernetes.io\/os/,
    ],
    [
      "a taint without an effect",
      { nodeTaints: { workers: ["dedicated=lab"] } },
      /^nodeTaints: has "dedicated=lab", which is not a taint/,
    ],
    [
      "a taint with another effect",
      { nodeTaints: { workers: ["a=b:NoShedule"] } },
      /^nodeTaints: gives a the effect NoShedule.*Did you mean NoSchedule/,
    ],
    ["one taint as text", { nodeTaints: { workers: "a=b:NoSchedule" } }, /^nodeTaints: does not give workers a list/],
    ["taints of all nodes at once", { nodeTaints: ["a=b:NoSchedule"] }, /^nodeTaints: is not a map/],
    [
      "a taint twice",
      { nodeTaints: { workers: ["a=b:NoSchedule", "a=c:NoSchedule"] } },
      /^nodeTaints: .*a:NoSchedule twice/,
    ],
    [
      "taints of a misspelt node",
      { nodeTaints: { worker: ["a:NoSchedule"] } },
      /^nodeTaints: names the node "worker".*Did you mean worker/,
    ],
    [
      "taints that leave no node for CoreDNS",
      { nodeTaints: { workers: ["a:NoSchedule"], "controller-0": ["a:NoExecute"] } },
      /^nodeTaints: repels pods from every node/,
    ],
    [
      "a gate that does not exist",
      { featureGates: { ContextualLoging: true } },
      /^featureGates: .*Did you mean ContextualLogging/,
    ],
    ["a gate that graduated", { featureGates: { SidecarContainers: true } }, /^featureGates: .*always on by now/],
    [
      "a gate that is neither",
      { featureGates: { ContextualLogging: "on" } },
      /^featureGates: gives ContextualLogging the value "on"/,
    ],
    [
      "a field that the kubelet does not have",
      { kubeletConfig: { maxPod: 5 } },
      /^kubeletConfig: .*Did you mean maxPods/,
    ],
    [
      "a field of the kubelet with another type",
      { kubeletConfig: { maxPods: "5" } },
      /^kubeletConfig: gives maxPods the value "5", which is not a whole number/,
    ],
    ["a duration without a unit", { kubeletConfig: { syncFrequency: "30" } }, /^kubeletConfig: .*not a duration/],
    ["more pods than addresses", { kubeletConfig: { maxPods: 300 } }, /^kubeletConfig: lets a node run 300 pods.*253/],
    [
      "the kubelet's authorization",
      { kubeletConfig: { authorization: { mode: "AlwaysAllow" } } },
      /^kubeletConfig: sets authorization/,
    ],
    [
      "reservations in the kubelet's fields",
      { kubeletConfig: { kubeReserved: { cpu: "1" } } },
      /^kubeletConfig: .*key of its own/,
    ],
    [
      "a flag of another component",
      { controllerManagerArgs: { "event-ttl": "1h" } },
      /^controllerManagerArgs: has "event-ttl", which is not a flag of kube-controller-manager/,
    ],
    [
      "the controller manager's network",
      { controllerManagerArgs: { "cluster-cidr": "10.0.0.0/8" } },
      /^controllerManagerArgs: sets cluster-cidr.*podCidr/,
    ],
    ["the scheduler's kubeconfig", { schedulerArgs: { kubeconfig: "/root/x" } }, /^schedulerArgs: sets kubeconfig/],
    [
      "an issuer without encryption",
      issuer({ url: "http://issuer.example.org" }),
      /^jwtAuthenticators: has a fault in \[0\].issuer.url: is not an https URL/,
    ],
    [
      "the cluster's own issuer",
      issuer({ url: "https://kubernetes.default.svc.cluster.local" }),
      /^jwtAuthenticators: .*issuer of service-account tokens/,
    ],
    [
      "an issuer without audiences",
      issuer({ audiences: [] }),
      /^jwtAuthenticators: .*\[0\].issuer.audiences: is empty/,
    ],
    [
      "several audiences",
      issuer({ audiences: ["a", "b"] }),
      /^jwtAuthenticators: .*audienceMatchPolicy: must be MatchAny/,
    ],
    [
      "a CA that is a path",
      issuer({ certificateAuthority: "/etc/ca.pem" }),
      /^jwtAuthenticators: .*certificateAuthority: is not a certificate in PEM/,
    ],
    [
      "a field that an issuer does not have",
      issuer({ clientID: "a" }),
      /^jwtAuthenticators: .*\[0\].issuer: there is no field "clientID"/,
    ],
    ["a claim without a prefix", username({ claim: "sub" }), /^jwtAuthenticators: .*username: needs a prefix/],
    [
      "a claim and an expression",
      username({ claim: "sub", prefix: "", expression: "claims.sub" }),
      /^jwtAuthenticators: .*either a claim or an expression/,
    ],
    [
      "an issuer twice",
      { jwtAuthenticators: [oidc, oidc] },
      /^jwtAuthenticators: has https:\/\/issuer.example.org twice/,
    ],
    ["issuers that are no list", { jwtAuthenticators: oidc }, /^jwtAuthenticators: /],
    [
      "a mirror on the machine itself",
      { mirror: "http://localhost:8000" },
      /^mirror: is an address at which a machine reaches only itself/,
    ],
    ["a registry on the machine itself", { registryMirror: "http://127.0.0.1:5000" }, /vpcCidr's first address/],
    ["a mirror that is not a URL", { mirror: "mirror.example.org" }, /^mirror: is not an http or https base URL/],
    ["a registry with another protocol", { registryMirror: "oci://example.org" }, /^registryMirror: /],
    ["an endpoint with a query", { awsEndpoint: "http://127.0.0.1:5001/?x=1" }, /^awsEndpoint: /],
    ["a misspelt key", { workercount: 3 }, /^workercount: is not a configuration key.*Did you mean workerCount\?/],
    ["a key with a similar name", { zone: 3 }, /^zone: is not a configuration key.*Did you mean zones\?/],
    [
      "an unknown key",
      { favouriteColour: "blue" },
      /^favouriteColour: is not a configuration key of this program\. Remove it/,
    ],
  ])("%s", (_, values, expected) => {
    const found = faults(values);
    expect(found).toEqual(expect.arrayContaining([expect.stringMatching(expected)]));
    expect(found.every((fault) => /^\w+: .{5,}\. \S.{5,}$/.test(fault))).toBe(true);
  });

  it("can come from the stack's name, if that is not a valid name for a cluster", () => {
    expect(faults({}, "my_stack")).toEqual([expect.stringMatching(/^clusterName: .*clusterName my-lab/)]);
  });

  it("is reported with all errors at once, including broken rules between valid keys", () => {
    const found = faults({ controlPlaneCount: 2, adminCidr: "", stage: "all", podCidr: "10.0.0.0/16", zone: 1 });
    expect(found.map((fault) => fault.split(":")[0])).toEqual([
      "zone",
      "controlPlaneCount",
      "adminCidr",
      "stage",
      "podCidr",
    ]);
  });

  it("is reported without secrets", () => {
    const result = parseConfig(completeConfig(project, { ...good, encryptionKey: "hunter2" }), {
      stack: "dev",
      readSshKey,
    });
    expect(JSON.stringify(result)).not.toContain("hunter2");
    expect(JSON.stringify(result)).toContain("plain text");
  });

  it("is reported as key, value, problem and remedy", () => {
    const result = parseConfig(completeConfig(project, { ...good, controlPlaneCount: 2, encryptionKey: "x" }), {
      stack: "dev",
      readSshKey,
    });
    expect("faults" in result && formatFaults(result.faults, "dev")).toMatchSnapshot();
  });
});

describe("the user's SSH key", () => {
  let dir: string;
  const file = (name: string) => join(dir, name);
  const keygen = (name: string, ...more: string[]) =>
    execFileSync("ssh-keygen", ["-q", "-f", file(name), "-C", "", ...(more.includes("-N") ? [] : ["-N", ""]), ...more]);
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "keys-"));
    keygen("ed25519", "-t", "ed25519");
    keygen("rsa", "-t", "rsa", "-b", "2048", "-m", "PEM");
    keygen("ecdsa", "-t", "ecdsa");
    keygen("locked", "-t", "ed25519", "-N", "secret");
    keygen("stale", "-t", "ed25519");
    writeFileSync(file("stale.pub"), readFileSync(file("ed25519.pub")));
    writeFileSync(file("text"), "no key\n", { mode: 0o600 });
    keygen("open", "-t", "ed25519");
    chmodSync(file("open"), 0o644);
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  it.each(["ed25519", "rsa"])("is accepted if it is %s", (name) => {
    const result = parseConfig(completeConfig(project, { ...good, sshPrivateKeyFile: file(name) }), {
      stack: "dev",
      readSshKey,
    });
    const published = readFileSync(file(`${name}.pub`), "utf8").trim();
    expect("config" in result && result.config.sshKey?.publicKey).toBe(published);
  });

  it.each([
    ["missing", /does not exist/],
    [".", /is a directory/],
    ["ed25519.pub", /is a public key/],
    ["ecdsa", /EC2 does not accept/],
    ["locked", /passphrase/],
    ["stale", /does not match the public key beside it/],
    ["text", /is not a private SSH key/],
    ["open", /is readable by other users.*chmod 600/],
  ])("is rejected if it is %s", (name, expected) => {
    expect(faults({ sshPrivateKeyFile: file(name) })).toEqual([expect.stringMatching(expected)]);
  });
});

describe("Pulumi.yaml", () => {
  it("describes every key that the program reads, and no other", () => {
    expect(Object.keys(project.config).sort()).toEqual(Object.keys(fields).sort());
    for (const entry of Object.values(project.config)) expect(entry.description).toMatch(/\.$/);
  });
  it.each(["dev", "ha", "series", "local", "local-ha"])(
    "has a valid preset %s, except for the administrator's own address",
    (stack) => {
      const text = readFileSync(join(__dirname, "../../..", `Pulumi.${stack}.yaml`), "utf8");
      const entries = [...text.matchAll(/^ {2}kubernetes-from-scratch:(\w+): (.*)$/gm)].map(([, key, value]) => [
        key,
        value,
      ]);
      expect(faults(Object.fromEntries(entries) as Record<string, string>, stack)).toEqual([]);
    },
  );
});

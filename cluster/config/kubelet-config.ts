/**
 * Reads kubeletConfig: fields of the kubelet's configuration that the program does not set itself.
 * https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
 */
import { maxPods } from "../shape";
import { didYouMean } from "./did-you-mean";
import { duration } from "./flags";
import { json, Problem } from "./problem";
import table from "./tables/kubelet.json";

const types: Readonly<Record<string, string | undefined>> = table;

/** Why the program sets a field itself, as the end of a sentence. */
const owned: Readonly<Record<string, string | undefined>> = Object.fromEntries(
  (
    [
      ["kubeReserved is a key of its own; set that instead.", ["kubeReserved"]],
      ["systemReserved is a key of its own; set that instead.", ["systemReserved"]],
      ["featureGates sets them for every component; set that instead.", ["featureGates"]],
      ["nodeTaints sets them; set that instead.", ["registerWithTaints"]],
      ["it follows from clusterDns; set that instead.", ["clusterDNS", "clusterDomain"]],
      ["it follows from podCidr; set that instead.", ["podCIDR"]],
      ["every request to the kubelet is authenticated and authorized.", ["authentication", "authorization"]],
      [
        "its certificates come from the PKI.",
        ["tlsCertFile", "tlsPrivateKeyFile", "rotateCertificates", "serverTLSBootstrap"],
      ],
      [
        "security groups and health checks depend on these ports and addresses.",
        ["address", "port", "readOnlyPort", "healthzPort", "healthzBindAddress", "enableServer"],
      ],
      [
        "containerd is configured for it.",
        ["cgroupDriver", "cgroupRoot", "cgroupsPerQOS", "containerRuntimeEndpoint", "imageServiceEndpoint"],
      ],
      [
        "the step finds it out on the machine.",
        ["providerID", "resolvConf", "failCgroupV1", "failSwapOn", "protectKernelDefaults"],
      ],
      ["the machine becomes a node that the program knows.", ["registerNode", "runOnce"]],
      ["static pods are files in /etc/kubernetes/manifests.", ["staticPodPath", "staticPodURL", "staticPodURLHeader"]],
      [
        "the machine's own services are not in cgroups with limits.",
        ["enforceNodeAllocatable", "kubeReservedCgroup", "systemReservedCgroup", "kubeletCgroups", "systemCgroups"],
      ],
    ] satisfies [string, string[]][]
  ).flatMap(([reason, fields]) => fields.map((field) => [field, reason])),
);

const forms: Readonly<Record<string, { is: (value: unknown) => boolean; name: string; example: string } | undefined>> =
  {
    bool: { is: (value) => typeof value === "boolean", name: "true or false", example: "true" },
    integer: { is: Number.isInteger, name: "a whole number", example: "100" },
    number: { is: (value) => typeof value === "number", name: "a number", example: "0.9" },
    string: { is: (value) => typeof value === "string", name: "text", example: '"text"' },
    duration: {
      is: (value) => typeof value === "string" && duration.is.test(value),
      name: duration.name,
      example: duration.example,
    },
    list: { is: Array.isArray, name: "a list", example: '["a", "b"]' },
    map: {
      is: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
      name: "a map of keys to values",
      example: '{"key": "value"}',
    },
  };

/** Reads the map of fields. @throws Problem */
export function kubeletConfig(text: string): Record<string, unknown> {
  const fields = json(text);
  for (const [field, value] of Object.entries(fields)) check(field, value);
  return fields;
}

function check(field: string, value: unknown): void {
  const type = Object.hasOwn(types, field) ? types[field] : undefined;
  if (type === undefined)
    throw new Problem(
      `has "${field}", which is not a field of KubeletConfiguration in v1.36.`,
      `Remove ${field}.${didYouMean(field, Object.keys(types))}`,
    );
  const reason = owned[field];
  if (reason) throw new Problem(`sets ${field}, which the program sets itself: ${reason}`, `Remove ${field}.`);
  const form = forms[type];
  if (form && !form.is(value))
    throw new Problem(
      `gives ${field} the value ${JSON.stringify(value)}, which is not ${form.name}.`,
      `Write it like ${form.example}.`,
    );
  if (field === "maxPods" && (Number(value) < 1 || Number(value) > maxPods))
    throw new Problem(
      `lets a node run ${Number(value)} pods, and its range has addresses for ${maxPods}.`,
      `Set maxPods to a number from 1 to ${maxPods}.`,
    );
}

/**
 * Runs the real program against Pulumi's mocks in a separate process, and prints every resource that it registered, as
 * JSON. Nothing is created. Environment: HARNESS={values, secretKeys, preview}.
 */
import * as pulumi from "@pulumi/pulumi";
import type { Harness, Registered } from "./program";

const { values, secretKeys, preview, former } = JSON.parse(process.env["HARNESS"] ?? "{}") as Harness;
const project = "kubernetes-from-scratch";
const zones = ["ap-southeast-1c", "ap-southeast-1a", "ap-southeast-1b"];

/** What providers return in addition to the inputs. Mocks pass secrets on in plain text unless they are wrapped here. */
const answers: Record<string, (name: string, inputs: Record<string, unknown>) => Record<string, unknown>> = {
  "tls:index/privateKey:PrivateKey": (name) => ({
    privateKeyPem: pulumi.secret(`PRIVATE KEY ${name}\n`),
    privateKeyOpenssh: pulumi.secret(`PRIVATE KEY ${name}\n`),
    publicKeyOpenssh: `ssh-ed25519 public-${name}\n`,
    publicKeyPem: `public ${name}\n`,
  }),
  "tls:index/certRequest:CertRequest": (name) => ({ certRequestPem: `request ${name}\n` }),
  "tls:index/selfSignedCert:SelfSignedCert": certificate,
  "tls:index/locallySignedCert:LocallySignedCert": certificate,
  "aws:ec2/instance:Instance": (name) => ({
    primaryNetworkInterfaceId: `eni-${name}`,
    publicIp: `198.51.100.${name.length}`,
    availabilityZone: "ap-southeast-1a",
  }),
  "aws:ec2/eip:Eip": () => ({ publicIp: "203.0.113.10", allocationId: "eipalloc-1" }),
  "aws:ec2/eipAssociation:EipAssociation": () => ({ publicIp: "203.0.113.10" }),
  "aws:lb/loadBalancer:LoadBalancer": () => ({ dnsName: "api-1.elb.ap-southeast-1.amazonaws.com", arn: "arn:lb" }),
  "aws:lb/targetGroup:TargetGroup": () => ({ arn: "arn:tg" }),
  "command:remote:Command": (name) => ({ stdout: `${name} works`, stderr: "" }),
};

function certificate(name: string, inputs: Record<string, unknown>) {
  const end = Date.now() + Number(inputs["validityPeriodHours"]) * 3_600_000;
  return { certPem: `certificate ${name}\n`, validityEndTime: new Date(end).toISOString() };
}

const ofProvider = (type: string): boolean => type.startsWith("pulumi:providers:");

const mocks: pulumi.runtime.Mocks = {
  newResource: async ({ type, name, inputs, custom }) => {
    // long enough for whatever does not wait for it to begin as well
    if (type === "aws:ec2/instance:Instance") await new Promise((resolve) => setTimeout(resolve, 100));
    // In a preview nothing exists yet, so the engine has no ids, and no outputs except the inputs.
    if (preview && custom && !ofProvider(type)) return { id: undefined, state: inputs as Record<string, unknown> };
    return { id: `${name}-id`, state: { ...inputs, ...answers[type]?.(name, inputs as Record<string, unknown>) } };
  },
  call: ({ token }) => {
    if (token === "pulumi:pulumi:readStackOutputs") return { outputs: former };
    return token.startsWith("aws:ec2/getAmi") ? { id: "ami-1" } : { names: zones };
  },
};

/** The parts of the monitor's requests that the tests use. */
interface RegisterRequest {
  getType(): string;
  getName(): string;
  getParent(): string;
  getObject(): { toJavaScript(): Record<string, unknown> } | undefined;
  getDependenciesList(): string[];
  getDeletedwith(): string;
  getIgnorechangesList(): string[];
  getDeletebeforereplace(): boolean;
  getReplacementTrigger(): { toJavaScript(): unknown } | undefined;
  getProvider(): string;
  getHooks(): { getBeforeUpdateList(): string[]; getAfterUpdateList(): string[] } | undefined;
}
interface OutputsRequest {
  getUrn(): string;
  getOutputs(): { toJavaScript(): Record<string, unknown> } | undefined;
}
type Callback = (error: unknown, response?: { getUrn(): string }) => void;
interface Monitor {
  registerResource(request: RegisterRequest, callback: Callback): Promise<void>;
  registerResourceOutputs(request: OutputsRequest, callback: Callback): void;
  registerResourceHook?: (request: unknown, callback: (error: unknown, response: unknown) => void) => void;
}

const resources: Registered[] = [];
let outputs: Record<string, unknown> = {};

function record(monitor: Monitor): void {
  monitor.registerResourceHook = (_request, callback) => callback(null, {}); // the mocks do not know hooks
  const register = monitor.registerResource.bind(monitor);
  let moment = 0;
  monitor.registerResource = (request, callback) => {
    const began = moment++;
    return register(request, (error, response) => {
      resources.push({
        urn: response?.getUrn() ?? "",
        type: request.getType(),
        name: request.getName(),
        parent: request.getParent(),
        inputs: request.getObject()?.toJavaScript() ?? {},
        dependencies: request.getDependenciesList(),
        deletedWith: request.getDeletedwith(),
        ignoreChanges: request.getIgnorechangesList(),
        deleteBeforeReplace: request.getDeletebeforereplace(),
        replacementTrigger: request.getReplacementTrigger()?.toJavaScript(),
        provider: request.getProvider(),
        hooks: [
          ...(request.getHooks()?.getBeforeUpdateList() ?? []),
          ...(request.getHooks()?.getAfterUpdateList() ?? []),
        ],
        began,
        ended: moment++,
      });
      callback(error, response);
    });
  };
  const registerOutputs = monitor.registerResourceOutputs.bind(monitor);
  monitor.registerResourceOutputs = (request, callback) => {
    if (request.getUrn().includes("pulumi:pulumi:Stack")) outputs = request.getOutputs()?.toJavaScript() ?? {};
    registerOutputs(request, callback);
  };
}

async function main(): Promise<void> {
  const prefixed = Object.entries(values).map(([key, value]) => [`${project}:${key}`, value]);
  pulumi.runtime.setAllConfig(
    Object.fromEntries(prefixed),
    secretKeys.map((key) => `${project}:${key}`),
  );
  await pulumi.runtime.setMocks(mocks, project, "test", preview, "organization");
  record((pulumi.runtime as unknown as { getMonitor(): Monitor }).getMonitor());
  await pulumi.runtime.runInPulumiStack(async () => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const program = require("../../program") as () => Promise<Record<string, unknown>>;
    return program();
  });
}

// Everything is registered when nothing is left to do.
process.once("beforeExit", () => process.stdout.write(JSON.stringify({ resources, outputs })));
main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(pulumi.RunError.isInstance(error) ? 3 : 1);
});

/** The program as the tests see it: what it registers for a configuration. */
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { readProjectFile } from "../../tools/project-file";
import { completeConfig } from "../../cluster/config/complete";

export interface Harness {
  /** Configuration values as text, complete. */
  readonly values: Readonly<Record<string, string>>;
  readonly secretKeys: readonly string[];
  readonly preview: boolean;
  /** Outputs of the update before. */
  readonly former: Readonly<Record<string, unknown>>;
}

/** A resource as it was registered with the engine. */
export interface Registered {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  readonly parent: string;
  /** Inputs. Secrets are wrapped, see isSecret. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** URNs of everything that it waits for. */
  readonly dependencies: readonly string[];
  readonly deletedWith: string;
  readonly ignoreChanges: readonly string[];
  readonly deleteBeforeReplace: boolean;
  readonly replacementTrigger?: unknown;
  readonly provider: string;
  /** Names of the hooks around an update. */
  readonly hooks: readonly string[];
  /** When it was registered, and when the engine was done with it, as positions in the order of all such events. */
  readonly began: number;
  readonly ended: number;
}

export class Run {
  constructor(
    readonly resources: readonly Registered[],
    readonly outputs: Readonly<Record<string, unknown>>,
  ) {}

  /** Resources of a type, such as aws:ec2/instance:Instance. */
  ofType(type: string): Registered[] {
    return this.resources.filter((resource) => resource.type === type);
  }

  /** The resource with this type and name. @throws if it does not exist. */
  get(type: string, name: string): Registered {
    const found = this.resources.find((resource) => resource.type === type && resource.name === name);
    if (!found) throw new Error(`the program did not register a ${type} named ${name}`);
    return found;
  }

  /** Names of the resources behind URNs. */
  names(urns: readonly string[]): string[] {
    return urns.map((urn) => this.resources.find((resource) => resource.urn === urn)?.name ?? urn);
  }
}

/** Marks of Pulumi's wire format: https://github.com/pulumi/pulumi/blob/master/developer-docs */
const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
/** How the engine writes a value that is not known before creation. */
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export const isSecret = (value: unknown): value is { value: unknown } =>
  typeof value === "object" && value !== null && (value as Record<string, unknown>)[signatureKey] === secretSignature;

/** The value inside a secret, or the value itself. */
export const reveal = (value: unknown): unknown => (isSecret(value) ? value.value : value);

/** All text in a value, except inside secrets. */
export const plainText = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) => (isSecret(each) ? "[secret]" : each)) ?? "";

const runs = new Map<string, Promise<Run>>();

/** Runs the program with these values, once for equal arguments. @throws with the program's message. */
export function runProgram(
  values: Readonly<Record<string, unknown>> = {},
  options: {
    readonly preview?: boolean;
    readonly secretKeys?: readonly string[];
    readonly former?: Readonly<Record<string, unknown>>;
    readonly environment?: Readonly<Record<string, string>>;
  } = {},
): Promise<Run> {
  const argument = JSON.stringify({
    values: completeConfig(readProjectFile(), { adminCidr: "203.0.113.7/32", ...values }),
    secretKeys: options.secretKeys ?? [],
    preview: options.preview ?? false,
    former: options.former ?? {},
  } satisfies Harness);
  const key = JSON.stringify([argument, options.environment]);
  const known = runs.get(key) ?? start(argument, options.environment ?? {});
  runs.set(key, known);
  return known;
}

async function start(argument: string, environment: Readonly<Record<string, string>>): Promise<Run> {
  const tsx = join(__dirname, "..", "..", "node_modules", ".bin", "tsx");
  const { stdout } = await promisify(execFile)(tsx, [join(__dirname, "harness.ts")], {
    maxBuffer: 64 * 2 ** 20,
    env: {
      ...process.env,
      ...environment,
      HARNESS: argument,
      NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"),
    },
  });
  const { resources, outputs } = JSON.parse(stdout) as Pick<Run, "resources" | "outputs">;
  return new Run(resources, outputs);
}

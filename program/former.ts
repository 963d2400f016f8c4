/**
 * The cluster that the last successful update left, and how this update continues from it. It is read from the stack's own
 * outputs, so that a plain `pulumi up` or `pulumi preview` knows it as well as `make up`.
 */
import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import type { MachineAccess } from "../bootstrap/remote";
import { Restarts, type RunningCluster } from "../bootstrap/restarts";
import type { Config } from "../cluster/config";
import {
  areInsistedOn,
  type Former,
  formatRefusals,
  insistence,
  refusedChanges,
  restartsMachines,
  type Settings,
  settingsOf,
} from "../cluster/config/changes";
import type { ClusterSpec } from "../cluster/spec";
import type { Generation } from "../infra/machines";

interface FormerCluster extends Former {
  readonly generation?: string;
  /** The private key that every machine accepted. */
  readonly sshPrivateKey?: string;
  readonly kubeconfig?: string;
  readonly sshKnownHosts?: string;
  readonly machines: readonly FormerMachine[];
}

/** A machine as the stack's outputs list it. */
interface FormerMachine {
  readonly name: string;
  readonly role: string;
  readonly privateIp: string;
  readonly publicIp: string;
}

/**
 * Asks the engine for the stack's outputs. An update that failed leaves those of the one before it.
 * @returns undefined if no update has succeeded yet.
 */
export async function formerCluster(): Promise<FormerCluster | undefined> {
  const name = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const answer = (await pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", { name })) as {
    readonly outputs?: Readonly<Record<string, unknown>>;
  };
  const outputs = answer.outputs ?? {};
  if (!Array.isArray(outputs["nodes"])) return undefined;
  return {
    settings: outputs["settings"] as Settings | undefined,
    nodes: outputs["nodes"] as Former["nodes"],
    machines: outputs["nodes"] as readonly FormerMachine[],
    generation: outputs["generation"] as string | undefined,
    sshPrivateKey: outputs["sshPrivateKey"] as string | undefined,
    kubeconfig: outputs["kubeconfig"] as string | undefined,
    sshKnownHosts: outputs["sshKnownHosts"] as string | undefined,
  };
}

interface Continuation {
  readonly settings: Settings;
  readonly generation: Generation;
  readonly access: MachineAccess;
  readonly restarts?: Restarts;
}

/**
 * What an update needs to know of the cluster before it.
 * @throws pulumi.RunError, before anything is registered, if the change would destroy the cluster and nobody insists.
 */
export function continueFrom(former: FormerCluster | undefined, config: Config, spec: ClusterSpec): Continuation {
  const settings = settingsOf(config, digest);
  if (!former) return { settings, generation: { number: "1", isNew: false }, access: { formerly: {} } };
  const refusals = refusedChanges(former, settings, spec.nodes);
  const isNew = refusals.length > 0;
  if (isNew && !areInsistedOn(refusals, process.env))
    throw new pulumi.RunError(formatRefusals(refusals, pulumi.getStack()));
  if (isNew)
    void pulumi.log.warn(`${insistence.name}=${insistence.value}: every machine is replaced, and all data is lost.`);
  const number = isNew ? nextGeneration(former.generation, settings) : (former.generation ?? "1");
  const generation = { number, isNew };
  if (isNew) return { settings, generation, access: { formerly: {} } };
  const restarts = new Restarts(runningCluster(former, spec), restartsMachines(former, settings));
  return { settings, generation, access: { formerly: formerAccess(former) }, restarts };
}

function runningCluster(
  { machines, kubeconfig, sshPrivateKey, sshKnownHosts }: FormerCluster,
  spec: ClusterSpec,
): RunningCluster {
  const { adminAccess } = spec;
  return {
    machines: machines.map((machine) => ({
      ...machine,
      sshHost: adminAccess === "private" ? machine.privateIp : machine.publicIp,
    })),
    kubeconfig: kubeconfig ?? "",
    sshKnownHosts: sshKnownHosts ?? "",
    sshPrivateKey: sshPrivateKey ?? "",
  };
}

/** The generation after a former one. The same for the same settings, so that an interrupted update continues. */
function nextGeneration(former = "1", settings: Settings): string {
  return `${Number.parseInt(former) + 1}-${digest(JSON.stringify(settings))}`;
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 12);

/** Until an update has recorded its settings, machines accept only the key that their user chose. */
const formerAccess = ({ settings, sshPrivateKey, nodes }: FormerCluster): MachineAccess["formerly"] =>
  settings || sshPrivateKey === undefined
    ? {}
    : Object.fromEntries(nodes.map(({ name }) => [name, pulumi.secret(sshPrivateKey)]));

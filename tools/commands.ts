/** What each make target does, as a story of calls. */
import { existsSync, readdirSync } from "node:fs";
import { relative, join } from "node:path";
import { execa } from "execa";
import { cloudDown, cloudUp } from "../cloud";
import { writeTranscript } from "./by-hand";
import { UserError } from "../lib/errors";
import { removeStackFiles, stackFiles, writeStackFiles } from "./outputs";
import { cloudsDir, labDir, root, stackDir } from "./places";
import { awsPreflight, preflight } from "./preflight";
import { recover } from "./recover";
import { Stack, type StackOutputs } from "./stack";
import { checkedConfig, localPort, type Overrides, stackConfig } from "./stack-config";
import { ensureImagesFor, ensureKubectl, ensureReleasesFor, ensureToolchain } from "./toolchain";

/** Images of the experiments and tests, beside the cluster's own. */
export const labImages = [
  "registry.k8s.io/e2e-test-images/agnhost:2.53",
  "docker.io/library/busybox:1.35",
  "docker.io/library/busybox:1.37",
];

/** Name of the local cloud that a run uses; tests have one of their own. */
const cloudName = (): string => process.env["LAB_CLOUD"] ?? "lab";

/** All that can be known to be wrong before anything is installed, built or created. */
async function preflightOf(name: string, overrides: Overrides): Promise<void> {
  checkedConfig(name, overrides);
  if (isLocal(name)) preflight();
  else await awsPreflight(name);
}

async function open(name: string): Promise<Stack> {
  stackConfig(name);
  return new Stack(name, await ensureToolchain(name));
}

/** The local cloud of a stack, started where it does not run; for a stack on AWS, that somebody is logged in there. */
async function startCloud(stack: Stack, overrides: Overrides = {}): Promise<void> {
  if (!stack.localPort) return awsPreflight(stack.name);
  const { releasesDir, registryDir } = await ensureReleasesFor(stack.name, overrides);
  await cloudUp({
    name: cloudName(),
    port: stack.localPort,
    stateRoot: cloudsDir,
    releasesDir,
    registryDir,
    preload: process.env["PRELOAD"] === "1",
  });
}

/** `make up`: from nothing, or from any state, to the cluster that the configuration describes; args go to Pulumi. */
export async function up(name: string, overrides: Overrides = {}, args: readonly string[] = []): Promise<void> {
  const start = Date.now();
  await preflightOf(name, overrides);
  const stack = await open(name);
  await startCloud(stack, overrides);
  await stack.prepare(overrides);
  await recover(stack);
  await stack.up(args);
  const outputs = await stack.outputs();
  await writeStackFiles(stack.dir, outputs);
  await summary(stack, outputs);
  console.log(`\nDone in ${Math.round((Date.now() - start) / 1000)} s.`);
}

/** `make preview`: what `up` would change; ARGS=--diff shows every line. */
export async function preview(name: string, overrides: Overrides, args: readonly string[]): Promise<void> {
  await preflightOf(name, overrides);
  const stack = await open(name);
  await startCloud(stack, overrides);
  await stack.prepare(overrides);
  await stack.preview(args);
}

/** `make refresh`: what really exists, read into Pulumi's state. */
export async function refresh(name: string): Promise<void> {
  const stack = await open(name);
  await startCloud(stack);
  await stack.prepare();
  await stack.refresh();
}

/** `make down`: nothing of the stack is left; the local cloud ends with its last stack. */
export async function down(name: string): Promise<void> {
  const stack = await open(name);
  await stack.takeOver();
  if (!(await stack.exists())) {
    console.log(`Stack ${name} does not exist: nothing to destroy.`);
  } else {
    await startCloud(stack);
    await stack.prepare();
    await recover(stack);
    await stack.destroy();
  }
  await removeStackFiles(stack.dir);
  if (stack.localPort && !(await otherLocalStacks(stack))) await cloudDown({ name: cloudName(), stateRoot: cloudsDir });
}

/** `make status`: the machines and nodes as they are now. */
export async function status(name: string): Promise<void> {
  const stack = await open(name);
  await summary(stack, await stack.outputs());
}

/** `make env`: shell lines that make `pulumi`, `kubectl` and the SSH configuration of the stack work in this shell. */
export async function env(name: string): Promise<void> {
  const stack = await open(name);
  await ensureKubectl(name);
  const variables = { ...stack.environment(), KUBECONFIG: join(stack.dir, stackFiles.kubeconfig) };
  for (const [key, value] of Object.entries(variables)) {
    if (key !== "PATH") console.log(`export ${key}='${value.replaceAll("'", `'\\''`)}'`);
  }
  console.log(`export PATH='${stack.toolchain.binDirs.join(":")}':"$PATH"`);
}

/** `make clean`: every local stack destroyed; the Makefile then removes .lab and node_modules. */
export async function clean(): Promise<void> {
  const names = existsSync(labDir)
    ? readdirSync(labDir).filter((name) => existsSync(join(labDir, name, `Pulumi.${name}.yaml`)))
    : [];
  for (const name of names) await down(name);
  await cloudDown({ name: cloudName(), stateRoot: cloudsDir });
}

/** `make labs`: every experiment, with a report. */
export async function labs(name: string): Promise<void> {
  await runLabs(name, ["all"]);
}

/** `make lab LAB=name`: one experiment; without a name, the list. */
export async function lab(name: string, which?: string): Promise<void> {
  await runLabs(name, which ? ["run", which] : ["list"]);
}

async function runLabs(name: string, args: readonly string[]): Promise<void> {
  if (args[0] !== "list" && isLocal(name)) await ensureImagesFor(labImages);
  process.on("SIGINT", () => undefined); // the experiment gets it as well, restores what it changed, and then ends
  const result = await execa("tsx", [join(root, "labs/cli.ts"), ...args, "--stack", name], {
    stdio: "inherit",
    reject: false,
  });
  if (result.exitCode !== 0) throw new UserError("Not every experiment passed.");
}

/** `make by-hand`: the whole bootstrap as a text to type. */
export async function byHand(name: string): Promise<void> {
  const path = await writeTranscript(name);
  console.log(`Written: ${relative(root, path)}`);
}

const isLocal = (name: string): boolean => localPort(name) !== undefined;

async function otherLocalStacks(stack: Stack): Promise<boolean> {
  const names = await stack.siblings();
  return names.some(
    (other) => other.resources > 0 && other.name !== stack.name && localPort(other.name) === stack.localPort,
  );
}

/** Prints the nodes, the endpoint, where the files are and what to type next. */
async function summary(stack: Stack, outputs: StackOutputs): Promise<void> {
  const here = (file: string): string => relative(process.cwd(), join(stackDir(stack.name), file));
  const table = outputs.nodes.map((node) => [
    node.name,
    node.role,
    node.privateIp,
    node.publicIp ?? "-",
    node.zone,
    node.instanceId,
  ]);
  printTable([["MACHINE", "ROLE", "PRIVATE IP", "PUBLIC IP", "ZONE", "INSTANCE"], ...table]);
  const proofs = Object.entries(outputs.proofs);
  if (proofs.length) console.log("\nProofs of health:");
  for (const [step, proof] of proofs) console.log(`  ✓ ${step}: ${proof}`);
  const kubeconfig = join(stack.dir, stackFiles.kubeconfig);
  if (outputs.kubeconfig && existsSync(kubeconfig)) {
    console.log("");
    await execa(await ensureKubectl(stack.name), ["--kubeconfig", kubeconfig, "get", "nodes", "-o", "wide"], {
      stdio: ["ignore", "inherit", "inherit"],
      reject: false,
    });
    console.log(`\nAPI endpoint  ${outputs.apiEndpoint}\nkubeconfig    ${here(stackFiles.kubeconfig)}`);
  }
  const variables = stack.name === "local" ? "" : ` STACK=${stack.name}`;
  console.log(`\nNext:
  eval "$(make -s env${variables})"        kubectl, pulumi and KUBECONFIG in this shell
  kubectl get pods -A -o wide
  ssh -F ${here(stackFiles.sshConfig)} controller-0
  make labs${variables}                     the experiments        make down${variables}   the end`);
}

function printTable(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  console.log("");
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
}

/** A stack that an experiment may change for a while. */
export interface OpenStack {
  /** Runs `up` with these values instead of the configured ones; {} returns to the configuration. */
  set(config: Overrides): Promise<void>;
}

/** @throws UserError where the stack has no configuration. */
export function openStack(name: string): Promise<OpenStack> {
  stackConfig(name);
  return Promise.resolve({ set: (config: Overrides) => up(name, config) });
}

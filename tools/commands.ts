/** What each make target does, step by step. */
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { execa } from "execa";
import { cloudDown, cloudUp } from "../cloud";
import { labImages } from "../labs/images";
import { UserError } from "../lib/errors";
import { quote } from "../lib/quote";
import { writeTranscript } from "./by-hand";
import { etcdArguments } from "./etcd/repair";
import { restoreSnapshot } from "./etcd/restore";
import { takeSnapshot } from "./etcd/snapshot";
import { removeStackFiles, stackFiles, writeStackFiles } from "./outputs";
import { cloudsDir, labDir, root } from "./places";
import { checkCredentials, preflight } from "./preflight";
import { Pulumi } from "./pulumi";
import { recover, takeOver } from "./recover";
import { openStack, type Stack } from "./stack";
import type { Overrides } from "./stack-file";
import { checkStatus } from "./status";
import { printNextCommands, printProofs, proofsSince } from "./summary";
import { ensureImagesFor, ensureKubectl, ensureReleasesFor, ensureToolchain } from "./toolchain";

/** Seconds that a cluster has to become healthy after an update: a machine that was started boots for that long. */
const healthPatience = 90;

/** `make up`: turns any state, or nothing, into the cluster that the configuration describes. args are for Pulumi. */
export async function up(name: string, overrides: Overrides, args: readonly string[]): Promise<void> {
  const start = Date.now();
  const stack = openStack(name, overrides);
  await preflight(stack);
  const pulumi = await pulumiOf(stack);
  await makeReady(pulumi);
  await recover(pulumi, { start: true });
  await pulumi.up([...(await etcdArguments(stack, await pulumi.state())), ...args]);
  const outputs = await pulumi.outputs();
  await writeStackFiles(stack.dir, outputs);
  await ensureKubectl(stack);
  printProofs(proofsSince(new Date(start), await pulumi.state(), outputs.proofs));
  await checkStatus(stack, outputs, healthPatience);
  printNextCommands(stack);
  console.log(`\nDone in ${Math.round((Date.now() - start) / 1000)} s.`);
}

/** `make preview`: what `up` would change. ARGS=--diff shows every line. */
export async function preview(name: string, overrides: Overrides, args: readonly string[]): Promise<void> {
  const stack = openStack(name, overrides);
  await preflight(stack);
  const pulumi = await pulumiOf(stack);
  await makeReady(pulumi);
  await pulumi.preview(args);
}

/** `make refresh`: updates Pulumi's state with what really exists. */
export async function refresh(name: string): Promise<void> {
  const pulumi = await pulumiOf(openStack(name));
  await makeReady(pulumi);
  await pulumi.refresh();
}

/** `make down`: destroys everything that belongs to the stack. The local cloud stops with its last stack. */
export async function down(name: string): Promise<void> {
  const stack = openStack(name);
  const pulumi = await pulumiOf(stack);
  await takeOver(pulumi);
  if (await pulumi.exists()) {
    await makeReady(pulumi);
    await recover(pulumi, { start: false });
    await pulumi.destroy();
  } else {
    console.log(`Stack ${name} does not exist, so there is nothing to destroy.`);
  }
  await removeStackFiles(stack.dir);
  if (stack.isLocal && !(await cloudHasOtherStacks(pulumi)))
    await cloudDown({ name: cloudName(), stateRoot: cloudsDir });
}

/** `make status`: how the machines and what runs on them are now. */
export async function status(name: string): Promise<void> {
  const stack = openStack(name);
  const pulumi = await pulumiOf(stack);
  const outputs = await pulumi.outputs();
  await writeStackFiles(stack.dir, outputs); // a plain `pulumi up` does not
  await checkStatus(stack, outputs);
}

/** `make snapshot`: a snapshot of etcd, on this machine. */
export async function snapshot(name: string): Promise<void> {
  const stack = openStack(name);
  const path = await takeSnapshot(stack, await controllersOf(stack));
  console.log(
    `${path}\nIt contains the cluster's Secrets, encrypted. To restore it: make restore STACK=${name} SNAPSHOT=${path}`,
  );
}

/** `make restore SNAPSHOT=file`: replaces etcd's data by a snapshot. */
export async function restore(name: string, file = ""): Promise<void> {
  if (file === "")
    throw new UserError(
      "restore needs the snapshot: a file on this machine, or machine:path.",
      `make restore STACK=${name} SNAPSHOT=<file>; make snapshot STACK=${name} saves one.`,
    );
  const stack = openStack(name);
  await restoreSnapshot(stack, await controllersOf(stack), file);
  console.log(`\nRestored. Next, to check everything and to set up what is missing: make up STACK=${name}`);
}

/** Names of the control-plane machines. Writes the files with which they are reached. */
async function controllersOf(stack: Stack): Promise<string[]> {
  const outputs = await (await pulumiOf(stack)).outputs();
  await writeStackFiles(stack.dir, outputs);
  return outputs.nodes.flatMap(({ name, role }) => (role === "control-plane" ? [name] : []));
}

/** `make env`: shell code that makes `pulumi` and `kubectl` work on the stack in the shell that evaluates it. */
export async function env(name: string): Promise<void> {
  const stack = openStack(name);
  const pulumi = await pulumiOf(stack);
  await ensureKubectl(stack);
  const { PATH: _, ...variables } = pulumi.environment();
  const kubeconfig = join(stack.dir, stackFiles.kubeconfig);
  for (const [key, value] of Object.entries({ ...variables, KUBECONFIG: kubeconfig }))
    console.log(`export ${key}=${quote(value)}`);
  console.log(`export PATH=${quote(pulumi.toolchain.binDirs.join(":"))}:"$PATH"`);
}

/** `make clean`: destroys every local stack. The Makefile then removes .lab and node_modules. */
export async function clean(): Promise<void> {
  const names = existsSync(labDir) ? readdirSync(labDir) : [];
  for (const name of names) if (existsSync(join(labDir, name, `Pulumi.${name}.yaml`))) await down(name);
  await cloudDown({ name: cloudName(), stateRoot: cloudsDir });
}

/** `make labs`: runs every experiment and writes a report. */
export async function labs(name: string): Promise<void> {
  await ensureLabImages(name);
  await runLabs(["all", "--stack", name]);
}

/** `make lab LAB=name`: runs one experiment. Without a name, lists them. */
export async function lab(name: string, which?: string): Promise<void> {
  if (which === undefined) return runLabs(["list"]);
  await ensureLabImages(name);
  await runLabs(["run", which, "--stack", name]);
}

/** `make by-hand`: writes the whole bootstrap as a transcript to type. */
export async function byHand(name: string): Promise<void> {
  const path = await writeTranscript(openStack(name));
  console.log(`Written: ${relative(root, path)}`);
}

/** Name of the local cloud that a run uses. The tests use separate clouds. */
const cloudName = (): string => process.env["LAB_CLOUD"] ?? "lab";

const pulumiOf = async (stack: Stack): Promise<Pulumi> => new Pulumi(stack, await ensureToolchain(stack));

/** What a Pulumi command needs: a cloud, a stack that no other command is working on, and this run's configuration. */
async function makeReady(pulumi: Pulumi): Promise<void> {
  if (pulumi.stack.isLocal) await startCloud(pulumi.stack);
  else await checkCredentials(pulumi.stack);
  await takeOver(pulumi);
  await pulumi.prepare();
}

/** Starts whatever part of the stack's local cloud is not running. */
async function startCloud(stack: Stack): Promise<void> {
  const { releasesDir, registryDir } = await ensureReleasesFor(stack);
  const preload = process.env["PRELOAD"] === "1";
  await cloudUp({ name: cloudName(), port: stack.port, stateRoot: cloudsDir, releasesDir, registryDir, preload });
}

async function cloudHasOtherStacks(pulumi: Pulumi): Promise<boolean> {
  const { name: own, port } = pulumi.stack;
  const others = (await pulumi.siblings()).filter(({ name, resources }) => resources > 0 && name !== own);
  return others.some(({ name }) => openStack(name).port === port);
}

async function ensureLabImages(name: string): Promise<void> {
  if (openStack(name).isLocal) await ensureImagesFor(labImages);
}

async function runLabs(args: readonly string[]): Promise<void> {
  process.on("SIGINT", () => undefined); // the labs get it too, restore what they changed, and then end
  const { exitCode } = await execa("tsx", [join(root, "labs/cli.ts"), ...args], { stdio: "inherit", reject: false });
  if (exitCode === 1) throw new UserError("Not every experiment passed.", "The report says why.");
  if (exitCode !== 0) throw new UserError(`The labs ended early, with exit code ${exitCode}.`);
}

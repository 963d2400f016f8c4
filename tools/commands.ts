/** What each make target does, step by step. */
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { execa } from "execa";
import { cloudDown } from "../cloud";
import { conformanceImagesOf, labImages } from "../labs/images";
import { UserError } from "../lib/errors";
import { quote } from "../lib/quote";
import { run } from "../lib/run";
import { ensureTestPrograms } from "../supply/releases";
import { writeTranscript } from "./by-hand";
import { destroyStack, openToDestroy } from "./down";
import { apply, shield } from "./environment";
import { etcdArguments, forgetRestore, recordRestore } from "./etcd/repair";
import { restoreSnapshot } from "./etcd/restore";
import { takeSnapshot } from "./etcd/snapshot";
import { addOrListImages, type ImageSource } from "./image";
import { mergeKubeconfig, refreshKubeconfig } from "./kubeconfig";
import { cloudRef, refuseCopies, startCloud } from "./local-cloud";
import { stackFiles, writeStackFiles } from "./outputs";
import { labDir, root } from "./places";
import { checkCredentials, preflight } from "./preflight";
import { Pulumi } from "./pulumi";
import { recover, takeOver } from "./recover";
import { openStack, type Stack } from "./stack";
import type { Overrides } from "./stack-file";
import { checkStatus } from "./status";
import { printNextCommands, printProofs, proofsSince } from "./summary";
import { inTurn, stacksAtWork } from "./turn";
import { ensureImagesFor, ensureKubectl, ensureToolchain } from "./toolchain";

/** Seconds that a cluster has to become healthy after an update: a machine that was started boots for that long. */
const healthPatience = 90;

/** `make up`: turns any state, or nothing, into the cluster that the configuration describes. args are for Pulumi. */
export function up(name: string, overrides: Overrides, args: readonly string[]): Promise<void> {
  return inTurn("up", name, () => update(name, overrides, args));
}

async function update(name: string, overrides: Overrides, args: readonly string[]): Promise<void> {
  const start = Date.now();
  const stack = open(name, overrides);
  await preflight(stack);
  const pulumi = await pulumiOf(stack);
  await makeReady(pulumi);
  await recover(pulumi, { start: true });
  await pulumi.up([...(await etcdArguments(stack, await pulumi.state())), ...args]);
  forgetRestore(stack);
  const outputs = await pulumi.outputs();
  writeStackFiles(stack.dir, outputs);
  await refreshKubeconfig(stack);
  await ensureKubectl(stack);
  printProofs(proofsSince(new Date(start), await pulumi.state(), outputs.proofs));
  await checkStatus(stack, outputs, healthPatience);
  printNextCommands(stack);
  console.log(`\nDone in ${Math.round((Date.now() - start) / 1000)} s.`);
}

/** `make preview`: what `up` would change. ARGS=--diff shows every line. */
export function preview(name: string, overrides: Overrides, args: readonly string[]): Promise<void> {
  return inTurn("preview", name, async () => {
    const stack = open(name, overrides);
    await preflight(stack);
    const pulumi = await pulumiOf(stack);
    await makeReady(pulumi);
    await pulumi.preview(args);
  });
}

/** `make refresh`: updates Pulumi's state with what really exists. */
export function refresh(name: string): Promise<void> {
  return inTurn("refresh", name, async () => {
    const pulumi = await pulumiOf(open(name));
    await makeReady(pulumi);
    await pulumi.refresh();
  });
}

/** `make down`: destroys everything that belongs to the stack. The local cloud stops with its last stack. */
export function down(name: string): Promise<void> {
  return inTurn("down", name, (turn) => destroyStack(shielded(openToDestroy(name)), turn));
}

/** `make status`: how the machines and what runs on them are now. */
export async function status(name: string): Promise<void> {
  const stack = open(name);
  const pulumi = await pulumiOf(stack);
  const outputs = await pulumi.outputs();
  writeStackFiles(stack.dir, outputs); // a plain `pulumi up` does not
  await checkStatus(stack, outputs);
}

/** `make snapshot`: a snapshot of etcd, on this machine. */
export async function snapshot(name: string): Promise<void> {
  const stack = open(name);
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
  await inTurn("restore", name, async () => {
    const stack = open(name);
    const controllers = await controllersOf(stack);
    recordRestore(stack);
    await restoreSnapshot(stack, controllers, file);
  });
  console.log(`\nRestored. Next, to check everything and to set up what is missing: make up STACK=${name}`);
}

/** Names of the control-plane machines. Writes the files with which they are reached. */
async function controllersOf(stack: Stack): Promise<string[]> {
  const outputs = await (await pulumiOf(stack)).outputs();
  writeStackFiles(stack.dir, outputs);
  return outputs.nodes.flatMap(({ name, role }) => (role === "control-plane" ? [name] : []));
}

/** `make env`: shell code that makes `pulumi` and `kubectl` work on the stack in the shell that evaluates it. */
export async function env(name: string): Promise<void> {
  const stack = openStack(name);
  refuseCopies(stack);
  const changes = shield(stack, process.env);
  apply(changes);
  const pulumi = await pulumiOf(stack);
  await ensureKubectl(stack);
  const { PATH: _, ...variables } = pulumi.environment();
  const kubeconfig = join(stack.dir, stackFiles.kubeconfig);
  for (const [key, value] of Object.entries({ ...changes, ...variables, KUBECONFIG: kubeconfig }))
    console.log(value === undefined ? `unset ${key}` : `export ${key}=${quote(value)}`);
  console.log(`export PATH=${quote(pulumi.toolchain.binDirs.join(":"))}:"$PATH"`);
}

/** `make kubeconfig`: merges the stack's kubeconfig into the user's own, ~/.kube/config or another file. */
export async function kubeconfig(name: string, file?: string): Promise<void> {
  const stack = open(name);
  writeStackFiles(stack.dir, await (await pulumiOf(stack)).outputs());
  await mergeKubeconfig(stack, file);
}

/** `make image`: adds images to the registry of the local cloud, or lists them. All local stacks share it. */
export const image = (source: ImageSource): Promise<void> => addOrListImages(source);

/** `make clean`: destroys every local stack. The Makefile then removes .lab and node_modules. */
export async function clean(): Promise<void> {
  const names = existsSync(labDir) ? readdirSync(labDir) : [];
  for (const name of names) if (existsSync(join(labDir, name, `Pulumi.${name}.yaml`))) await down(name);
  const isDown = await cloudDown(cloudRef(), async () => stacksAtWork().length > 0);
  if (!isDown)
    throw new UserError(`A command is working on stack ${stacksAtWork().join(", ")}.`, "Wait until it ends.");
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

interface SuiteOptions {
  readonly focus: string | undefined;
  readonly procs: string | undefined;
}

/** `make conformance`: runs upstream's conformance suite, or the part that a regular expression chooses. */
export async function conformance(name: string, { focus, procs }: SuiteOptions): Promise<void> {
  const stack = open(name);
  const programs = await ensureTestPrograms(stack.config().kubernetesVersion);
  if (stack.isLocal) {
    const images = await run(join(programs, "e2e.test"), ["--list-images"]);
    await ensureImagesFor(conformanceImagesOf(images.trim().split("\n")));
  }
  const options = { programs, ...(focus ? { focus } : {}), ...(procs ? { procs } : {}) };
  await runLabs([
    "conformance",
    "--stack",
    name,
    ...Object.entries(options).map(([key, value]) => `--${key}=${value}`),
  ]);
}

/** `make by-hand`: writes the whole bootstrap as a transcript to type. */
export async function byHand(name: string): Promise<void> {
  const path = await writeTranscript(open(name));
  console.log(`Written: ${relative(root, path)}`);
}

/** Opens the stack of a command in the checkout that has it, and keeps from it what the shell is set up for otherwise. */
const open = (name: string, overrides: Overrides = {}): Stack => shielded(openStack(name, overrides));

function shielded(stack: Stack): Stack {
  refuseCopies(stack);
  apply(shield(stack, process.env));
  return stack;
}

const pulumiOf = async (stack: Stack): Promise<Pulumi> => new Pulumi(stack, await ensureToolchain(stack));

/** What a Pulumi command needs: a cloud, a stack that no other command is working on, and this run's configuration. */
async function makeReady(pulumi: Pulumi): Promise<void> {
  if (pulumi.stack.isLocal) await startCloud(pulumi.stack);
  else await checkCredentials(pulumi.stack);
  await takeOver(pulumi);
  await pulumi.prepare();
}

async function ensureLabImages(name: string): Promise<void> {
  if (open(name).isLocal) await ensureImagesFor(labImages);
}

async function runLabs(args: readonly string[]): Promise<void> {
  process.on("SIGINT", () => undefined); // the labs get it too, restore what they changed, and then end
  const { exitCode } = await execa("tsx", [join(root, "labs/cli.ts"), ...args], { stdio: "inherit", reject: false });
  if (exitCode === 1) throw new UserError("Not everything passed.", "The report says why.");
  if (exitCode !== 0) throw new UserError(`The labs ended early, with exit code ${exitCode}.`);
}

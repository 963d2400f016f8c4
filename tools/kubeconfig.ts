/** `make kubeconfig`: the stack's cluster among those of the user's own kubeconfig, until `make down`. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Document, isMap, isSeq, parse, parseDocument, type YAMLMap, type YAMLSeq } from "yaml";
import { replaceFile } from "../lib/durable-file";
import { UserError } from "../lib/errors";
import { stackFiles } from "./outputs";
import { writePrivateFile } from "./private-file";
import type { Stack } from "./stack";

const lists = ["clusters", "users", "contexts"] as const;
type List = (typeof lists)[number];

interface Entry {
  readonly name: string;
}
/** A kubeconfig as the program writes it: one cluster, one user, one context. */
type Kubeconfig = Readonly<Record<List, readonly [Entry]>> & { readonly "current-context": string };

/** What was merged, and where. Kept in the stack's folder until it is taken out again. */
interface Merged {
  readonly file: string;
  readonly kubeconfig: string;
  /** The current context before. */
  readonly former?: string | undefined;
}

/** Entries that have a name of the cluster's but are not the cluster's. */
export class NameTaken extends Error {}

/**
 * A kubeconfig with the entries of another one, whose context becomes the current one. Everything else stays as it is,
 * comments included. Pure.
 * @param earlier the kubeconfig that was merged before; its entries are replaced.
 * @throws NameTaken if an entry of the same name is somebody else's; YAMLParseError if the text is not a kubeconfig.
 */
export function merge(text: string, own: string, earlier?: string): string {
  const others = [earlier ?? own, own].reduce((rest, ours) => takeOut(rest, ours, undefined), text);
  const document = read(others);
  const added = parse(own) as Kubeconfig;
  for (const list of lists) {
    const entry = added[list][0];
    const entries = sequence(document, list);
    if (indexOf(entries, entry.name) >= 0) throw new NameTaken(`${list.slice(0, -1)} "${entry.name}"`);
    entries.add(document.createNode(entry));
  }
  document.set("current-context", document.createNode(added["current-context"]));
  return write(document);
}

/**
 * A kubeconfig without the entries of another one, as far as they are still the same cluster's. Pure.
 * @param former the context that becomes current if the current one is taken out and that one exists.
 */
export function takeOut(text: string, own: string, former: string | undefined): string {
  const document = read(text);
  const removed = parse(own) as Kubeconfig;
  const authority = (cluster: unknown): unknown =>
    (cluster as { cluster?: Record<string, unknown> } | undefined)?.cluster?.["certificate-authority-data"];
  const clusters = sequence(document, "clusters");
  const found = indexOf(clusters, removed.clusters[0].name);
  if (found < 0 || authority(entryAt(clusters, found)) !== authority(removed.clusters[0])) return text;
  for (const list of lists) {
    const entries = sequence(document, list);
    const index = indexOf(entries, removed[list][0].name);
    if (index >= 0) entries.delete(index);
  }
  if (document.get("current-context") === removed["current-context"]) {
    const isThere = former !== undefined && indexOf(sequence(document, "contexts"), former) >= 0;
    document.set("current-context", document.createNode(isThere ? former : ""));
  }
  return write(document);
}

/** In the style of kubectl, which writes an empty list as [] and the others line by line. */
function write(document: Document<YAMLMap>): string {
  for (const list of lists) {
    const entries = document.get(list);
    if (isSeq(entries)) entries.flow = entries.items.length === 0;
  }
  const text = document.toString({ lineWidth: 0, indentSeq: false });
  read(text); // nothing that cannot be read is ever written over the user's file
  return text;
}

function read(text: string): Document<YAMLMap> {
  const document = parseDocument(text.trim() === "" ? "apiVersion: v1\nkind: Config\n" : text);
  if (document.errors[0]) throw document.errors[0];
  if (!isMap(document.contents)) throw new Error("is not a map");
  return document as unknown as Document<YAMLMap>;
}

/** The list of that name, created if it is missing or null. */
function sequence(document: Document<YAMLMap>, list: List): YAMLSeq {
  const found = document.get(list);
  if (isSeq(found)) return found;
  const created = document.createNode([]) as YAMLSeq;
  document.set(list, created);
  return created;
}

const entryAt = (entries: YAMLSeq, index: number): unknown => (entries.toJSON() as unknown[])[index];
const indexOf = (entries: YAMLSeq, name: string): number =>
  (entries.toJSON() as Partial<Entry>[]).findIndex((entry) => entry.name === name);

const recordOf = (stack: Stack): string => join(stack.dir, "merged-kubeconfig.json");

function recorded(stack: Stack): Merged | undefined {
  try {
    return JSON.parse(readFileSync(recordOf(stack), "utf8")) as Merged;
  } catch {
    return undefined; // not merged
  }
}

/**
 * Merges the stack's kubeconfig into a file.
 * @param target by default ~/.kube/config.
 * @throws UserError if a name is taken or the file is not a kubeconfig; it is left alone then.
 */
export async function mergeKubeconfig(stack: Stack, target = ""): Promise<void> {
  const file = resolve((target === "" ? "~/.kube/config" : target).replace(/^~(?=\/)/, homedir()));
  const earlier = recorded(stack);
  if (earlier && earlier.file !== file) await forgetKubeconfig(stack);
  const kubeconfig = readFileSync(join(stack.dir, stackFiles.kubeconfig), "utf8");
  const context = (parse(kubeconfig) as Kubeconfig)["current-context"];
  await edit(file, (text) => {
    const current = parse(text) as Partial<Kubeconfig> | null;
    const before = current?.["current-context"];
    const former = before === context ? earlier?.former : before;
    const merged = merge(text, kubeconfig, earlier?.file === file ? earlier.kubeconfig : undefined);
    writePrivateFile(recordOf(stack), JSON.stringify({ file, kubeconfig, former } satisfies Merged));
    return merged;
  });
  console.log(
    `${file} has the context ${context}, and it is the current one. make down STACK=${stack.name} takes it out.`,
  );
}

/** Brings what was merged up to date, as after a change of the API endpoint. */
export async function refreshKubeconfig(stack: Stack): Promise<void> {
  const merged = recorded(stack);
  const own = join(stack.dir, stackFiles.kubeconfig);
  if (!merged || !existsSync(merged.file) || readFileSync(own, "utf8") === merged.kubeconfig) return;
  await mergeKubeconfig(stack, merged.file);
}

/** Takes out what was merged. A file that is gone or is no kubeconfig any more is left as it is. */
export async function forgetKubeconfig(stack: Stack): Promise<void> {
  const merged = recorded(stack);
  if (!merged) return;
  try {
    if (existsSync(merged.file)) await edit(merged.file, (text) => takeOut(text, merged.kubeconfig, merged.former));
  } catch (error) {
    console.warn(`${merged.file} still has the cluster's entries: ${(error as Error).message.split("\n")[0]}`);
  }
  rmSync(recordOf(stack), { force: true });
}

/** Replaces a file's text while kubectl does not, and keeps its mode. A symbolic link stays one. */
async function edit(file: string, change: (text: string) => string): Promise<void> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const path = existsSync(file) ? realpathSync(file) : file;
  await whileLocked(path, () => {
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    const mode = existsSync(path) ? statSync(path).mode & 0o777 : 0o600;
    const changed = attempt(file, () => change(text));
    if (changed !== text) replaceFile(path, changed, { mode });
  });
}

function attempt(file: string, change: () => string): string {
  try {
    return change();
  } catch (error) {
    const reason = (error as Error).message.split("\n")[0];
    if (error instanceof NameTaken)
      throw new UserError(
        `${file} already has a ${reason}, which is another cluster's.`,
        "Rename it there, or merge into another file: make kubeconfig FILE=~/.kube/lab",
      );
    throw new UserError(`${file} is not a kubeconfig: ${reason}`, "Correct it, or merge into another file with FILE=.");
  }
}

/** kubectl's own lock: a file that only one process can create. https://pkg.go.dev/k8s.io/client-go/tools/clientcmd */
async function whileLocked(path: string, task: () => void): Promise<void> {
  const lock = `${path}.lock`;
  for (let tries = 50; ; tries--)
    try {
      closeSync(openSync(lock, "wx", 0o600));
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (tries === 0)
        throw new UserError(
          `${lock} exists, so kubectl seems to be writing ${path}.`,
          "If it is not, remove that file.",
        );
      await sleep(100);
    }
  try {
    task();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** The cloud's block in the host's /etc/hosts, a file that others edit as well and whose lines must never be lost. */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { replaceFile } from "../../lib/durable-file";
import { withFileLock } from "../../lib/file-lock";
import { brand } from "../names";
import { Name, renderNames } from "./dns";

/** The file, and what goes with it. */
interface Places {
  readonly hosts: string;
  /** Held by whoever of this host's clouds writes the file. */
  readonly lock: string;
  /** Where its content is kept while it is written in place, with the new one. */
  readonly kept: string;
}

/** A change of the file in place, from one content to another. */
interface Change {
  readonly before: string;
  readonly after: string;
}

const HOST: Places = {
  hosts: "/etc/hosts",
  lock: `/run/${brand.name}-hosts.lock`,
  kept: `/var/lib/${brand.name}/hosts.kept`,
};

/** What is read from and written to the file, byte by byte: comments may be in any encoding. */
const BYTES = "latin1";
const ENCODING = { encoding: BYTES } as const;

const BEGIN = (cloud: string): string => `# BEGIN ${brand.name} ${cloud}`;
const END = (cloud: string): string => `# END ${brand.name} ${cloud}`;
/** A line for a load balancer, which only clouds write. */
const isName = (line: string): boolean => /^\S+ \S+\.elb\.\S+\.amazonaws\.com$/.test(line);

/**
 * Replaces the cloud's marked block in the text of /etc/hosts. Without names, the block is removed. Only its
 * marks and the names of load balancers next to them are taken for the block, so that a mark which somebody has removed
 * does not make it reach over the lines of others.
 */
export function renderHostsFile(text: string, cloud: string, names: readonly Name[]): string {
  const lines = text.split("\n");
  const rest: string[] = [];
  let inside = false;
  for (let at = 0; at < lines.length;) {
    const line = lines[at++]!;
    if (line === BEGIN(cloud)) {
      inside = true;
      while (at < lines.length && isName(lines[at]!)) at++;
    } else if (line === END(cloud)) {
      while (!inside && rest.length > 0 && isName(rest.at(-1)!)) rest.pop();
      inside = false;
    } else rest.push(line);
  }
  const others = rest.join("\n");
  if (names.length === 0) return others;
  return `${others}${others === "" || others.endsWith("\n") ? "" : "\n"}${BEGIN(cloud)}\n${renderNames(names)}${END(cloud)}\n`;
}

/** Makes the file's block for the cloud contain these names, or removes the block if there are none. */
export async function updateHostsFile(cloud: string, names: readonly Name[], places: Places = HOST): Promise<void> {
  const file = realpathSync(places.hosts); // a symbolic link stays one
  const change = (): Change => {
    const before = readFileSync(file, ENCODING);
    return { before, after: renderHostsFile(before, cloud, names) };
  };
  const { before, after } = change();
  if (before === after && ![partialOf(file), places.kept].some((path) => existsSync(path))) return;
  await withFileLock(
    places.lock,
    () => undefined,
    () => {
      finishInterrupted(file, places.kept);
      const wanted = change(); // another cloud may have written it since
      if (wanted.before !== wanted.after) write(file, places.kept, wanted);
      return Promise.resolve();
    },
  );
}

/** Where the new file is until it is complete. */
const partialOf = (file: string): string => `${file}.${brand.name}.new`;

function write(file: string, kept: string, change: Change): void {
  try {
    replaceFile(file, change.after, { encoding: BYTES, partial: partialOf(file) });
  } catch (error) {
    // A file that is a mount point, as in a container, cannot be replaced; nor can one in a folder that is read-only.
    if (!["EBUSY", "EXDEV", "EROFS", "EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? ""))
      throw error;
    replaceFile(kept, JSON.stringify(change));
    overwrite(file, change);
    rmSync(kept);
  }
}

/**
 * Removes what a kill has left. In the middle of overwriting, it leaves a mixture of two contents; then the former one is put
 * back. A file that somebody has edited since stays as it is, and what was kept of it is set aside.
 */
function finishInterrupted(file: string, kept: string): void {
  rmSync(partialOf(file), { force: true });
  if (!existsSync(kept)) return;
  const present = readFileSync(file, ENCODING);
  const change = readChange(kept);
  if (change && isMixture(present, change)) {
    overwrite(file, { before: present, after: change.before });
    rmSync(kept);
  } else renameSync(kept, `${kept}.old`);
}

/** What was kept, or undefined if an earlier version kept it. */
function readChange(kept: string): Change | undefined {
  try {
    return JSON.parse(readFileSync(kept, "utf8")) as Change;
  } catch {
    return undefined;
  }
}

/** Whether a content can have come about by overwriting: each byte is the old or the new one. */
function isMixture(present: string, { before, after }: Change): boolean {
  const longest = Math.max(before.length, after.length);
  const padded = before.padEnd(longest, "\n");
  const isEither = [...present].every((byte, at) => byte === padded[at] || byte === after[at]);
  return isEither && present.length >= Math.min(before.length, after.length) && present.length <= longest;
}

/** Overwrites a file in place. The space is taken before anything is changed: if there is none, the content stays. */
function overwrite(path: string, { before, after }: Change): void {
  const [old, wanted] = [before, after].map((text) => Buffer.from(text, BYTES)) as [Buffer, Buffer];
  const file = openSync(path, "r+");
  try {
    try {
      writeAll(file, Buffer.alloc(Math.max(0, wanted.length - old.length), "\n"), old.length);
      fsyncSync(file); // some file systems find out only now
    } catch (error) {
      ftruncateSync(file, old.length);
      throw error;
    }
    writeAll(file, wanted, 0);
    ftruncateSync(file, wanted.length);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function writeAll(file: number, content: Buffer, position: number): void {
  for (let done = 0; done < content.length;)
    done += writeSync(file, content, done, content.length - done, position + done);
}

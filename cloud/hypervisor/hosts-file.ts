/** The cloud's block in the host's /etc/hosts, a file that others edit as well and whose lines must never be lost. */
import {
  closeSync,
  ftruncateSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
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
  /** Where its content is kept while it is written in place. */
  readonly kept: string;
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
  const change = (): [string, string] => {
    const text = readFileSync(places.hosts, ENCODING);
    return [text, renderHostsFile(text, cloud, names)];
  };
  const [before, wanted] = change();
  if (before === wanted && statSync(places.kept, { throwIfNoEntry: false }) === undefined) return;
  await withFileLock(
    places.lock,
    () => undefined,
    () => {
      finishInterrupted(places);
      const [text, rendered] = change(); // another cloud may have written it since
      if (text !== rendered) write(places, text, rendered);
      return Promise.resolve();
    },
  );
}

function write(places: Places, before: string, after: string): void {
  const file = realpathSync(places.hosts); // a symbolic link stays one
  try {
    replaceFile(file, after, { encoding: BYTES, partial: `${file}.${brand.name}.new` });
  } catch (error) {
    // A file that is a mount point, as in a container, cannot be replaced; nor can one in a folder that is read-only.
    if (!["EBUSY", "EXDEV", "EROFS", "EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? ""))
      throw error;
    replaceFile(places.kept, before, { encoding: BYTES });
    overwrite(file, before, after);
    rmSync(places.kept);
  }
}

/** A kill in the middle of overwriting leaves a mixture of two contents. The one that was kept is put back first. */
function finishInterrupted({ hosts, kept }: Places): void {
  if (statSync(kept, { throwIfNoEntry: false }) === undefined) return;
  overwrite(realpathSync(hosts), readFileSync(hosts, ENCODING), readFileSync(kept, ENCODING));
  rmSync(kept);
}

/** Overwrites a file in place. The space is taken before anything is changed: if there is none, the content stays. */
function overwrite(path: string, before: string, after: string): void {
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

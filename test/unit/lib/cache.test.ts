/** The cache: entries, damage to them, interrupted builds and concurrent runs. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cached, cacheRoot, type Recipe } from "../../../lib/cache";

const CONTENT = "what was built\n";
let home: string;
let builds: number;
let messages: string[];
const earlier = process.env["XDG_CACHE_HOME"];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "kfs-cache-"));
  process.env["XDG_CACHE_HOME"] = home;
  builds = 0;
  messages = [];
});

afterEach(() => {
  if (earlier === undefined) delete process.env["XDG_CACHE_HOME"];
  else process.env["XDG_CACHE_HOME"] = earlier;
  rmSync(home, { recursive: true });
});

const thing = (changes: Partial<Recipe> = {}): Recipe => ({
  name: "thing",
  version: "v1",
  recipe: "how to build it",
  build: async (directory) => {
    builds++;
    writeFileSync(join(directory, "file"), CONTENT, { mode: 0o755 });
    await Promise.resolve();
  },
  ...changes,
});
const make = (changes: Partial<Recipe> = {}): Promise<string> => cached(thing(changes), (line) => messages.push(line));

describe("a cache entry", () => {
  it("is kept outside the checkout, under its name, version and recipe", async () => {
    const directory = await make();
    expect(directory).toMatch(new RegExp(`^${join(home, "kubernetes-from-scratch")}/thing-v1-[0-9a-f]{12}$`));
    expect(readFileSync(join(directory, "file"), "utf8")).toBe(CONTENT);
  });

  it("is built once", async () => {
    expect(await make()).toBe(await make());
    expect(builds).toBe(1);
    expect(messages).toEqual([]);
  });

  it.each([{ version: "v2" }, { recipe: "another way" }, { name: "other" }])("is separate for %j", async (changes) => {
    expect(await make(changes)).not.toBe(await make());
    expect(builds).toBe(2);
  });
});

describe("a damaged entry is rebuilt, with a message:", () => {
  const flip = (file: string): void => {
    const bytes = readFileSync(file);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    writeFileSync(file, bytes);
  };
  const damages: Record<string, (directory: string) => void> = {
    "one bit flipped and the time restored": (directory) => {
      const { atime, mtime } = statSync(join(directory, "file"));
      flip(join(directory, "file"));
      utimesSync(join(directory, "file"), atime, mtime);
    },
    "a truncated file": (directory) => writeFileSync(join(directory, "file"), CONTENT.slice(0, 4)),
    "a missing file": (directory) => rmSync(join(directory, "file")),
    "an added file": (directory) => writeFileSync(join(directory, "stranger"), ""),
    "changed permissions": (directory) => chmodSync(join(directory, "file"), 0o644),
    "a missing record": (directory) => rmSync(`${directory}.manifest.json`),
    "a truncated record": (directory) => writeFileSync(`${directory}.manifest.json`, '{"files":'),
  };
  it.each(Object.entries(damages))("%s", async (_name, damage) => {
    const directory = await make();
    damage(directory);
    expect(await make()).toBe(directory);
    expect(builds).toBe(2);
    expect(messages.join()).toContain("The cached thing v1 is damaged");
    expect(readdirSync(directory)).toEqual(["file"]);
    expect(readFileSync(join(directory, "file"), "utf8")).toBe(CONTENT);
  });

  it("after a boot, even if size and times are unchanged", async () => {
    const directory = await make();
    const record = `${directory}.manifest.json`;
    // like silent corruption on disk: a different sum, with every stamp unchanged
    const manifest = JSON.parse(readFileSync(record, "utf8")) as { files: { file: { sha256: string } } };
    manifest.files.file.sha256 = "0".repeat(64);
    writeFileSync(record, JSON.stringify(manifest));
    await make();
    expect(builds).toBe(1); // not rebuilt during the boot in which it was last checked
    writeFileSync(record, JSON.stringify({ ...manifest, bootId: "the previous boot" }));
    await make();
    expect(builds).toBe(2);
  });
});

describe("an entry whose times alone have changed", () => {
  it("is checked again and kept", async () => {
    const directory = await make();
    utimesSync(join(directory, "file"), new Date(), new Date(0));
    await make();
    expect(builds).toBe(1);
    expect(messages).toEqual([]);
  });
});

describe("an interrupted build", () => {
  it("leaves nothing that a later run uses", async () => {
    const half = async (directory: string): Promise<void> => {
      writeFileSync(join(directory, "half"), "");
      await Promise.reject(new Error("interrupted"));
    };
    await expect(make({ build: half })).rejects.toThrow("interrupted");
    const directory = await make();
    expect(readdirSync(directory)).toEqual(["file"]);
  });

  it("leaves nothing that a later run uses, and no lock, even if it was killed", async () => {
    const child = spawnRun(60_000);
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "close");
    expect(readdirSync(cacheRoot()).some((name) => name.endsWith(".new"))).toBe(true);
    expect(readdirSync(await make())).toEqual(["file"]);
    expect(readdirSync(cacheRoot()).some((name) => name.endsWith(".new"))).toBe(false);
  });
});

describe("concurrent runs", () => {
  it("wait for each other and build once", async () => {
    const child = spawnRun(2500);
    await once(child.stdout, "data");
    const directory = await make();
    expect(builds).toBe(0);
    expect(messages.join()).toContain("waiting for another run that is building thing v1");
    expect(existsSync(join(directory, "file"))).toBe(true);
  });

  it("build once within one process as well", async () => {
    expect(new Set(await Promise.all([make(), make(), make()])).size).toBe(1);
    expect(builds).toBe(1);
  });
});

/** Another process that builds the same entry: it prints a line at the start and takes this long (milliseconds). */
function spawnRun(takes: number) {
  const script = `
    const { cached } = require(${JSON.stringify(join(__dirname, "../../../lib/cache.ts"))});
    const { writeFileSync } = require("node:fs");
    const build = async (directory) => {
      console.log("building");
      writeFileSync(directory + "/file", ${JSON.stringify(CONTENT)}, { mode: 0o755 });
      await new Promise((done) => setTimeout(done, ${takes}));
    };
    cached({ name: "thing", version: "v1", recipe: "how to build it", build });`;
  const tsx = join(__dirname, "../../../node_modules/tsx/dist/loader.mjs");
  return spawn(process.execPath, ["--import", tsx, "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
}

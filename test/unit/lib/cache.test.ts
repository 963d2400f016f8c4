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
let said: string[];
const earlier = process.env["XDG_CACHE_HOME"];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "kfs-cache-"));
  process.env["XDG_CACHE_HOME"] = home;
  builds = 0;
  said = [];
});

afterEach(() => {
  if (earlier === undefined) delete process.env["XDG_CACHE_HOME"];
  else process.env["XDG_CACHE_HOME"] = earlier;
  rmSync(home, { recursive: true });
});

const thing = (changes: Partial<Recipe> = {}): Recipe => ({
  name: "thing",
  version: "v1",
  recipe: "how it is made",
  build: async (directory) => {
    builds++;
    writeFileSync(join(directory, "file"), CONTENT, { mode: 0o755 });
    await Promise.resolve();
  },
  ...changes,
});
const make = (changes: Partial<Recipe> = {}): Promise<string> => cached(thing(changes), (line) => said.push(line));

describe("a cache entry", () => {
  it("lies outside the checkout, by name, version and recipe", async () => {
    const directory = await make();
    expect(directory).toMatch(new RegExp(`^${join(home, "kubernetes-from-scratch")}/thing-v1-[0-9a-f]{12}$`));
    expect(readFileSync(join(directory, "file"), "utf8")).toBe(CONTENT);
  });

  it("is built once", async () => {
    expect(await make()).toBe(await make());
    expect(builds).toBe(1);
    expect(said).toEqual([]);
  });

  it.each([{ version: "v2" }, { recipe: "another way" }, { name: "other" }])(
    "is another one for %j",
    async (changes) => {
      expect(await make(changes)).not.toBe(await make());
      expect(builds).toBe(2);
    },
  );
});

describe("a damaged entry is built again, with a message:", () => {
  const flip = (file: string): void => {
    const bytes = readFileSync(file);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    writeFileSync(file, bytes);
  };
  const damages: Record<string, (directory: string) => void> = {
    "one bit flipped, its time put back": (directory) => {
      const { atime, mtime } = statSync(join(directory, "file"));
      flip(join(directory, "file"));
      utimesSync(join(directory, "file"), atime, mtime);
    },
    "a file cut short": (directory) => writeFileSync(join(directory, "file"), CONTENT.slice(0, 4)),
    "a file missing": (directory) => rmSync(join(directory, "file")),
    "a file added": (directory) => writeFileSync(join(directory, "stranger"), ""),
    "permissions changed": (directory) => chmodSync(join(directory, "file"), 0o644),
    "its record missing": (directory) => rmSync(`${directory}.manifest.json`),
    "its record cut short": (directory) => writeFileSync(`${directory}.manifest.json`, '{"files":'),
  };
  it.each(Object.entries(damages))("%s", async (_name, damage) => {
    const directory = await make();
    damage(directory);
    expect(await make()).toBe(directory);
    expect(builds).toBe(2);
    expect(said.join()).toContain("The cached thing v1 is damaged");
    expect(readdirSync(directory)).toEqual(["file"]);
    expect(readFileSync(join(directory, "file"), "utf8")).toBe(CONTENT);
  });

  it("found after a boot even where nothing shows on the outside", async () => {
    const directory = await make();
    const record = `${directory}.manifest.json`;
    // as a disk that lost a bit would leave it: another sum, and every stamp as it was
    const manifest = JSON.parse(readFileSync(record, "utf8")) as { files: { file: { sha256: string } } };
    manifest.files.file.sha256 = "0".repeat(64);
    writeFileSync(record, JSON.stringify(manifest));
    await make();
    expect(builds).toBe(1); // within the boot in which it was compared
    writeFileSync(record, JSON.stringify({ ...manifest, bootId: "the boot before" }));
    await make();
    expect(builds).toBe(2);
  });
});

describe("an entry that was only touched", () => {
  it("is read again and stays", async () => {
    const directory = await make();
    utimesSync(join(directory, "file"), new Date(), new Date(0));
    await make();
    expect(builds).toBe(1);
    expect(said).toEqual([]);
  });
});

describe("an interrupted build", () => {
  it("leaves nothing that is trusted", async () => {
    const half = async (directory: string): Promise<void> => {
      writeFileSync(join(directory, "half"), "");
      await Promise.reject(new Error("interrupted"));
    };
    await expect(make({ build: half })).rejects.toThrow("interrupted");
    const directory = await make();
    expect(readdirSync(directory)).toEqual(["file"]);
  });

  it("that was killed leaves nothing that is trusted, and no lock", async () => {
    const child = spawnRun(60_000);
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "close");
    expect(readdirSync(cacheRoot()).some((name) => name.endsWith(".new"))).toBe(true);
    expect(readdirSync(await make())).toEqual(["file"]);
    expect(readdirSync(cacheRoot()).some((name) => name.endsWith(".new"))).toBe(false);
  });
});

describe("two runs at once", () => {
  it("wait for one another and build once", async () => {
    const child = spawnRun(2500);
    await once(child.stdout, "data");
    const directory = await make();
    expect(builds).toBe(0);
    expect(said.join()).toContain("waiting for another run that makes thing v1");
    expect(existsSync(join(directory, "file"))).toBe(true);
  });

  it("of one process too", async () => {
    expect(new Set(await Promise.all([make(), make(), make()])).size).toBe(1);
    expect(builds).toBe(1);
  });
});

/** Another process that makes the same entry, says so, and takes this long (milliseconds). */
function spawnRun(takes: number) {
  const script = `
    const { cached } = require(${JSON.stringify(join(__dirname, "../../../lib/cache.ts"))});
    const { writeFileSync } = require("node:fs");
    const build = async (directory) => {
      console.log("building");
      writeFileSync(directory + "/file", ${JSON.stringify(CONTENT)}, { mode: 0o755 });
      await new Promise((done) => setTimeout(done, ${takes}));
    };
    cached({ name: "thing", version: "v1", recipe: "how it is made", build });`;
  const tsx = join(__dirname, "../../../node_modules/tsx/dist/loader.mjs");
  return spawn(process.execPath, ["--import", tsx, "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
}

/** Writing /etc/hosts, on a copy: kills, full disks, mounts, and several clouds at a time. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { renderHostsFile, updateHostsFile } from "../../cloud/hypervisor/hosts-file";

const own = `127.0.0.1 localhost\n# gar\u00e7on\n${"10.9.9.9 printer\n".repeat(300)}`;
const names = [{ name: "api-1.elb.us-east-1.amazonaws.com", addresses: ["10.1.1.10", "10.1.2.10"] }];
let directory = "";
const etc = (): string => join(directory, "etc");
const places = () => ({ hosts: join(etc(), "hosts"), lock: join(directory, "lock"), kept: join(directory, "kept") });
const content = (): string => readFileSync(places().hosts, "latin1");
const update = (cloud: string, wanted = names): Promise<void> => updateHostsFile(cloud, wanted, places());

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "hosts-"));
  mkdirSync(etc());
  writeFileSync(places().hosts, own, { encoding: "latin1", mode: 0o644 });
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Puts a small file system in place of a folder or file, for the duration of a task. */
async function mounted(args: string[], target: string, task: () => Promise<void>): Promise<void> {
  execFileSync("mount", [...args, target]);
  try {
    await task();
  } finally {
    execFileSync("umount", [target]);
  }
}

function fill(folder: string): void {
  try {
    execFileSync("dd", ["if=/dev/zero", `of=${join(folder, "filler")}`, "bs=4096"], { stdio: "ignore" });
  } catch {
    // that it ends for lack of space is the point
  }
}

const twoFiles = async (task: (hosts: string) => Promise<void>): Promise<void> => {
  const outside = join(directory, "outside");
  mkdirSync(outside);
  await mounted(["-t", "tmpfs", "-o", "size=256k", "tmpfs"], outside, async () => {
    writeFileSync(join(outside, "hosts"), own, "latin1");
    await mounted(["--bind", join(outside, "hosts")], places().hosts, () => task(outside));
  });
};

describe("/etc/hosts", () => {
  it("keeps its mode and the encoding of its comments, and nothing is left beside it", async () => {
    await update("lab");
    expect(content()).toBe(renderHostsFile(own, "lab", names));
    expect(statSync(places().hosts).mode & 0o777).toBe(0o644);
    await update("lab", []);
    expect(content()).toBe(own);
    expect(readdirSync(etc())).toEqual(["hosts"]);
  });

  it("gets the block of each of ten clouds that write it at the same time", async () => {
    const clouds = Array.from({ length: 10 }, (_, index) => `cloud-${index}`);
    await Promise.all(clouds.map((cloud) => update(cloud)));
    for (const cloud of clouds) expect(content()).toContain(`# BEGIN kubernetes-from-scratch ${cloud}\n`);
    await Promise.all(clouds.map((cloud) => update(cloud, [])));
    expect(content()).toBe(own);
  });

  it("stays as it is if the disk is full, and is written once there is space", async () => {
    await mounted(["-t", "tmpfs", "-o", "size=256k", "tmpfs"], etc(), async () => {
      writeFileSync(places().hosts, own, "latin1");
      fill(etc());
      await expect(update("lab")).rejects.toThrow(/no space left to write .*hosts\. What it contained is still there/);
      expect(content()).toBe(own);
      rmSync(join(etc(), "filler"));
      await update("lab");
      expect(content()).toBe(renderHostsFile(own, "lab", names));
    });
  });

  it("is written in place where it is a mount point, also if the disk is full", async () => {
    await twoFiles(async (outside) => {
      await update("lab");
      expect(content()).toBe(renderHostsFile(own, "lab", names));
      await update("lab", []);
      expect(content()).toBe(own);
      fill(outside);
      const many = Array.from({ length: 500 }, (_, index) => ({
        ...names[0]!,
        name: `n-${index}.elb.x.amazonaws.com`,
      }));
      await expect(update("lab", many)).rejects.toThrow(/ENOSPC/);
      expect(content()).toBe(own);
    });
  });

  it("keeps what its owner adds after a write that failed", async () => {
    await twoFiles(async (outside) => {
      await update("lab");
      fill(outside);
      const many = Array.from({ length: 500 }, (_, index) => ({
        ...names[0]!,
        name: `n-${index}.elb.x.amazonaws.com`,
      }));
      await expect(update("lab", many)).rejects.toThrow(/ENOSPC/);
      rmSync(join(outside, "filler"));
      appendFileSync(places().hosts, "10.9.9.8 scanner\n");
      await update("lab", []);
      expect(content()).toBe(`${own}10.9.9.8 scanner\n`);
    });
  });

  it("is without the new file of a kill, although nothing is to be changed", async () => {
    writeFileSync(`${places().hosts}.kubernetes-from-scratch.new`, "127.0.0.1 loc");
    await update("lab", []);
    expect(readdirSync(etc())).toEqual(["hosts"]);
    expect(content()).toBe(own);
  });

  it.each([
    ["replaced", (task: () => Promise<void>) => task()],
    ["a mount point", twoFiles],
  ])("has every line of its owner after each of 20 kills, if it is %s", async (_, on) => {
    await on(async () => {
      const writer = resolve(__dirname, "../support/hosts-writer.ts");
      for (let kills = 0; kills < 20; kills++) {
        const child = spawn(process.execPath, ["--import", "tsx", writer, JSON.stringify(places())], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        await once(child.stdout, "data");
        await sleep(Math.random() * 50);
        child.kill("SIGKILL");
        await once(child, "close");
        await update("other"); // as the next pass of any cloud does
        await update("other", []);
        expect([own, renderHostsFile(own, "lab", names)]).toContain(content());
      }
    });
  });
});

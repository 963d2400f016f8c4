/** A file system in use that grows with its volume, as the step `machine` extends it, on a real block device. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";
import { root } from "../../tools/places";

let folder: string;
let device = "";

const sh = async (command: string): Promise<string> =>
  (await execa("bash", ["-euo", "pipefail", "-c", command], { cwd: folder })).stdout;

/** Runs commands as a step would, with the library loaded. */
const step = (commands: string): Promise<string> =>
  sh(`STEP=test ROOT=${folder}/root; . ${root}/bootstrap/scripts/lib/library.sh; ${commands}`);

const gib = async (): Promise<number> => Number(await sh("df --output=size --block-size=1 mount | tail -1")) / 2 ** 30;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kfs-volume-"));
  for (const name of ["mount", "root/run/kubernetes-from-scratch"]) mkdirSync(join(folder, name), { recursive: true });
});
afterEach(async () => {
  await sh(`umount mount; losetup --detach ${device}`);
  rmSync(folder, { recursive: true });
});

it.each(["ext4", "xfs"])("fills its volume, which has grown, without being unmounted: %s", async (type) => {
  device = await sh("truncate --size 1G disk; losetup --find --show disk");
  await sh(`mkfs.${type} -q ${device}; mount ${device} mount; echo kept >mount/file`);
  await step("fill_volume $PWD/mount 1");
  expect(await gib()).toBeLessThan(1);
  await sh(`exec 3<mount/file; truncate --size 2G disk; losetup --set-capacity ${device}`);
  expect(await step("fill_volume $PWD/mount 2")).toContain(`fills ${device}`);
  expect(await gib()).toBeGreaterThan(1.8);
  await step("fill_volume $PWD/mount 2");
  expect(await sh("cat mount/file")).toBe("kept");
});

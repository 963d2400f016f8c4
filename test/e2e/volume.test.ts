/** A file system in use that grows with its volume, as the step `machine` extends it, on a real block device. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { ensurePackages } from "../../lib/packages";
import { root } from "../../tools/places";

let folder: string;
let device = "";

const sh = async (command: string): Promise<string> =>
  (await execa("bash", ["-euo", "pipefail", "-c", command], { cwd: folder })).stdout;

/** Runs commands as a step would, with the library loaded. */
const step = (commands: string): Promise<string> =>
  sh(`STEP=test ROOT=${folder}/root; . ${root}/bootstrap/scripts/lib/library.sh; ${commands}`);

const gib = async (): Promise<number> => Number(await sh("df --output=size --block-size=1 mount | tail -1")) / 2 ** 30;

/** Whether this process has CAP_SYS_RESOURCE (24 in capabilities(7)), without which the kernel resizes no ext4 in use. */
const mayResizeExt4 = (): boolean => {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return ((BigInt(`0x${effective ?? "0"}`) >> 24n) & 1n) === 1n;
};

beforeAll(() => ensurePackages(["e2fsprogs", "xfsprogs"]));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kfs-volume-"));
  for (const name of ["mount", "root/run/kubernetes-from-scratch"]) mkdirSync(join(folder, name), { recursive: true });
});
afterEach(async () => {
  await sh(`umount mount || true; [ -z "${device}" ] || losetup --detach ${device}`);
  device = "";
  rmSync(folder, { recursive: true });
});

it.for(["ext4", "xfs"])("fills its volume, which has grown, without being unmounted: %s", async (type, { skip }) => {
  skip(type === "ext4" && !mayResizeExt4(), "this process lacks CAP_SYS_RESOURCE");
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

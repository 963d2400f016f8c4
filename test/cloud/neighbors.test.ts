/** Two checkouts on one host, whose clouds share a container engine. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { cloudDown, cloudStatus, cloudUp } from "../../cloud";
import { World } from "../support/world";

const checkouts = mkdtempSync(join(tmpdir(), "kfs-neighbors-"));
const HOST = 11;
const names = ["t-east", "t-west"] as const;
const ports = [5086, 5087] as const;
const at = (which: 0 | 1) => ({ name: names[which], port: ports[which], stateRoot: join(checkouts, names[which]) });

afterAll(async () => {
  for (const which of [0, 1] as const) await cloudDown(at(which));
  rmSync(checkouts, { recursive: true, force: true });
});

it("can be taken down while the other one comes up, and does not take its engine along", async () => {
  await cloudUp(at(0));
  for (const [down, up] of [
    [0, 1],
    [1, 0],
    [0, 1],
  ] as const) {
    const [wasTakenDown] = await Promise.all([cloudDown(at(down)), cloudUp(at(up))]);
    expect(wasTakenDown).toBe(true);
    expect(await cloudStatus(at(down))).toMatchObject({ runs: false });
    expect(await cloudStatus(at(up))).toMatchObject({ runs: true });
  }
});

it("keeps its machine while the other one comes and goes", async () => {
  const world = await World.up(names[1], ports[1], "10.86.0.0/16", undefined, at(1).stateRoot);
  await world.launch(HOST);
  await world.reachable(HOST);
  const boot = await world.boot(HOST);
  await cloudUp(at(0));
  await cloudDown(at(0));
  await world.reachable(HOST);
  expect(await world.boot(HOST)).toBe(boot);
  await world.down();
});

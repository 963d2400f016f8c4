/** What the hypervisor does about an instance, and which capabilities its machine gets. */
import { describe, expect, it } from "vitest";
import { ContainerState, decide } from "../../../cloud/hypervisor/instances";
import { capabilitiesOf } from "../../../cloud/hypervisor/machine";

const at = (second: number): Date => new Date(second * 1000);
const ENGINE = { startedAt: at(0), readyAt: at(1) };
const running = { state: "running", bootedAt: at(10) } as const;
const machine = (status: string, startedAt: number, exitCode = 0, finishedAt = 25): ContainerState => ({
  status,
  exitCode,
  startedAt: at(startedAt),
  finishedAt: at(finishedAt),
});

describe("the action for an instance", () => {
  it.each([
    ["does not exist yet", running, undefined, "create"],
    ["runs", running, machine("running", 11), "nothing"],
    ["was created by a hypervisor that died before starting it", running, machine("created", 0), "recreate"],
    ["was asked to reboot after it started", { ...running, bootedAt: at(20) }, machine("running", 11), "restart"],
    ["was stopped and should run again", { ...running, bootedAt: at(20) }, machine("exited", 11, 130), "start"],
    ["rebooted by itself", running, machine("exited", 11, 129), "start"],
    ["shut itself down", running, machine("exited", 11, 130), "report-stopped"],
    ["died", running, machine("exited", 11, 137), "nothing"],
    ["should stop", { ...running, state: "stopped" }, machine("running", 11), "stop"],
    ["is stopped", { ...running, state: "stopped" }, machine("exited", 11, 130), "nothing"],
    ["is terminated", { ...running, state: "terminated" }, machine("running", 11), "remove"],
    ["is terminated and gone", { ...running, state: "terminated" }, undefined, "nothing"],
    ["is unknown to the API", undefined, machine("running", 11), "set-aside"],
    ["is unknown to the API and was shut down", undefined, machine("exited", 11, 130), "nothing"],
  ] as const)("whose machine %s", (_, wanted, present, action) => {
    expect(decide(wanted, present, ENGINE)).toBe(action);
  });

  it.each([
    ["went down cleanly with the engine", 130, 29, "start"],
    ["was killed with the engine, which saw that when it started again", 137, 31, "start"],
    ["shut itself down after the engine had restarted under it", 130, 40, "report-stopped"],
    ["died after the engine had restarted under it", 137, 40, "nothing"],
  ])("whose machine %s", (_, exitCode, finishedAt, action) => {
    const engine = { startedAt: at(30), readyAt: at(32) };
    expect(decide(running, machine("exited", 11, exitCode, finishedAt), engine)).toBe(action);
  });
});

describe("a machine that was made", () => {
  const made = { bootedAt: at(10), isLost: false };
  const lost = { bootedAt: at(20), isLost: true };
  it.each([
    ["runs", running, machine("running", 11), made, "nothing"],
    ["is gone", running, undefined, made, "nothing"],
    ["is gone and was asked to boot", { ...running, bootedAt: at(20) }, undefined, made, "report-lost"],
    ["is gone and stopped", { ...running, state: "stopped" }, undefined, made, "nothing"],
    ["is gone and terminated", { ...running, state: "terminated" }, undefined, made, "nothing"],
    ["was terminated because it was gone", { ...running, state: "terminated" }, undefined, lost, "nothing"],
    ["is back after that", { ...running, state: "terminated" }, machine("running", 11), lost, "set-aside"],
    ["is back after that, shut down", { ...running, state: "terminated" }, machine("exited", 11), lost, "nothing"],
    ["is terminated by its owner", { ...running, state: "terminated" }, machine("running", 11), made, "remove"],
  ] as const)("and %s", (_, wanted, present, known, action) => {
    expect(decide(wanted, present, ENGINE, known)).toBe(action);
  });
});

describe("a machine's capabilities", () => {
  it("are the host's, except those that reach beyond the machine", () => {
    const all = capabilitiesOf("CapBnd:\t000001ffffffffff\n");
    expect(all).toContain("NET_ADMIN");
    expect(all).toContain("SYS_RESOURCE");
    expect(all).not.toContain("SYS_MODULE");
    expect(all).not.toContain("SYS_TIME");
    expect(capabilitiesOf("CapBnd:\t000001fffeffffff\n")).toEqual(all.filter((name) => name !== "SYS_RESOURCE"));
    expect(capabilitiesOf("")).toEqual([]);
  });
});

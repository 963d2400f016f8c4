/** What a change of each key does to a cluster that exists. */
import { describe, expect, it } from "vitest";
import { changes, formatRefusals, refusedChanges, restartsMachines, settingsOf } from "../../../cluster/config/changes";
import type { Config } from "../../../cluster/config";
import { clusterSpec } from "../../../cluster/spec";
import { readProjectFile } from "../../../tools/project-file";
import { config as validConfig } from "../../support/spec";

const project = readProjectFile();

const config = (values: Readonly<Record<string, unknown>> = {}): Config =>
  validConfig(values, {
    stack: "test",
    secretKeys: ["encryptionKey"],
    readSshKey: () => ({ privateKey: "private", publicKey: "public" }),
  });

const settings = (values?: Readonly<Record<string, unknown>>) => settingsOf(config(values), (text) => `of ${text}`);

/** Refusals of a change between two configurations, as "key: before -> after". */
function refused(before: Readonly<Record<string, unknown>>, after: Readonly<Record<string, unknown>>): string[] {
  const { nodes } = clusterSpec(config(after));
  return refusedChanges({ settings: settings(before), nodes: [] }, settings(after), nodes).map(
    ({ key, before: old, after: next }) => `${key}: ${old} -> ${next}`,
  );
}

const key = (byte: number): string => Buffer.alloc(32, byte).toString("base64");

describe("changes", () => {
  it("knows every key of Pulumi.yaml, and no other", () =>
    expect(Object.keys(changes).sort()).toEqual(Object.keys(project.config).sort()));

  it.each<[string, Record<string, unknown>, Record<string, unknown>, string]>([
    ["region", {}, { region: "eu-west-1" }, "region: ap-southeast-1 -> eu-west-1"],
    ["zones", {}, { zones: 3 }, "zones: 1 -> 3"],
    [
      "architecture",
      {},
      { controlPlaneInstanceType: "t4g.medium" },
      "controlPlaneInstanceType: t3.medium -> t4g.medium",
    ],
    ["architecture", {}, { workerInstanceType: "t4g.large" }, "workerInstanceType: t3.medium -> t4g.large"],
    ["a smaller volume", { rootVolumeGiB: 30 }, { rootVolumeGiB: 20 }, "rootVolumeGiB: 30 -> 20"],
    ["clusterName", {}, { clusterName: "other" }, "clusterName: test -> other"],
    ["vpcCidr", {}, { vpcCidr: "10.9.0.0/16" }, "vpcCidr: 10.0.0.0/16 -> 10.9.0.0/16"],
    ["podCidr", {}, { podCidr: "10.201.0.0/16" }, "podCidr: 10.200.0.0/16 -> 10.201.0.0/16"],
    ["clusterDns", {}, { clusterDns: "10.32.0.11" }, "clusterDns: 10.32.0.10 -> 10.32.0.11"],
    ["another cloud", {}, { awsEndpoint: "http://127.0.0.1:5001" }, "awsEndpoint: (unset) -> http://127.0.0.1:5001"],
  ])("refuses %s", (_, before, after, expected) => expect(refused(before, after)).toEqual([expected]));

  it("refuses serviceCidr together with what follows from it", () =>
    expect(refused({}, { serviceCidr: "10.33.0.0/24", clusterDns: "10.33.0.10" })).toHaveLength(2));

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ["a larger volume", { rootVolumeGiB: 20 }, { rootVolumeGiB: 30 }],
    [
      "a larger machine of the same architecture",
      {},
      { controlPlaneInstanceType: "m5.large", workerInstanceType: "t3.large" },
    ],
    ["an SSH key", {}, { sshPrivateKeyFile: "~/.ssh/lab" }],
    [
      "another port of the local cloud",
      { awsEndpoint: "http://127.0.0.1:5001" },
      { awsEndpoint: "http://localhost:5002" },
    ],
    ["more workers", {}, { workerCount: 3 }],
    ["a first encryption key", {}, { encryptionKey: key(1) }],
    ["another encryption key", { encryptionKey: key(1) }, { encryptionKey: key(2) }],
    ["the stack's own encryption key again", { encryptionKey: key(1) }, {}],
    ["nothing", { encryptionKey: key(1) }, { encryptionKey: key(1) }],
  ])("allows %s", (_, before, after) => expect(refused(before, after)).toEqual([]));

  it.each<[string, Record<string, unknown>, boolean]>([
    ["another type of one role", { workerInstanceType: "t3.large" }, true],
    ["a larger volume", { rootVolumeGiB: 30 }, false],
    ["nothing", {}, false],
  ])("knows whether machines restart: %s", (_, after, expected) => {
    expect(restartsMachines({ settings: settings(), nodes: [] }, settings(after))).toBe(expected);
    expect(restartsMachines({ nodes: [] }, settings(after)), "an earlier release recorded no settings").toBe(true);
  });

  it("looks at the nodes of a cluster whose settings were not recorded", () => {
    const nodes = clusterSpec(config()).nodes.map(({ name, privateIp, podCidr }) => ({ name, privateIp, podCidr }));
    const compare = (values: Readonly<Record<string, unknown>>) =>
      refusedChanges({ nodes }, settings(values), clusterSpec(config(values)).nodes).map(({ key }) => key);
    expect(compare({ workerCount: 5 })).toEqual([]);
    expect(new Set(compare({ vpcCidr: "10.9.0.0/16" }))).toEqual(new Set(["vpcCidr"]));
    expect(new Set(compare({ zones: 3 }))).toEqual(new Set(["zones"]));
    expect(new Set(compare({ podCidr: "10.201.0.0/16" }))).toEqual(new Set(["podCidr"]));
  });

  it("tells the owner how to insist, unless that is impossible", () => {
    const text = (values: Readonly<Record<string, unknown>>) =>
      formatRefusals(refusedChanges({ settings: settings(), nodes: [] }, settings(values), []), "test");
    expect(text({ vpcCidr: "10.9.0.0/16" })).toMatchSnapshot();
    expect(text({ region: "eu-west-1" })).toMatchSnapshot();
  });
});

/** The state of the EC2 API: kills, damaged files and a full disk. Without machines; a folder of its own per test. */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  AllocateAddressCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateNetworkInterfaceCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateTagsCommand,
  CreateVpcCommand,
  DeleteKeyPairCommand,
  DeleteNetworkInterfaceCommand,
  DeleteSecurityGroupCommand,
  DeleteSubnetCommand,
  DescribeTagsCommand,
  DescribeVpcsCommand,
  EC2Client,
  ImportKeyPairCommand,
  ReleaseAddressCommand,
  RevokeSecurityGroupIngressCommand,
} from "@aws-sdk/client-ec2";
import {
  CreateTargetGroupCommand,
  DescribeTargetGroupsCommand,
  ElasticLoadBalancingV2Client,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UserError, apiEndpoint, cloudOf } from "../../cloud";
import { ec2ApiPid, startEc2Api, stopEc2Api } from "../../cloud/ec2-api";
import { takeLosses } from "../../cloud/losses";
import { waitFor } from "../../lib/process";
import { newKey } from "../support/world";

const folder = (): string => mkdtempSync(join(tmpdir(), "ec2-state-"));
const PORT = 5094;
let cloud = cloudOf({ name: "t-state", port: PORT, stateDir: "/nonexistent" });
const options = {
  region: "ap-southeast-1",
  endpoint: apiEndpoint(cloud),
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
  maxAttempts: 1,
  requestHandler: { httpAgent: { keepAlive: false } },
};
const ec2 = new EC2Client(options);
const balancing = new ElasticLoadBalancingV2Client(options);

beforeEach(() => {
  cloud = cloudOf({ name: "t-state", port: PORT, stateDir: folder() });
});
afterEach(async () => {
  await stopEc2Api(cloud);
  rmSync(cloud.stateDir, { recursive: true });
});

const file = (name: string): string => join(cloud.stateDir, `ec2-api.${name}`);
const start = (): Promise<void> => startEc2Api(cloud);
async function kill(): Promise<void> {
  process.kill(ec2ApiPid(cloud)!, "SIGKILL");
  await waitFor(() => ec2ApiPid(cloud) === undefined, 5_000);
}
const vpc = async (): Promise<string> =>
  (await ec2.send(new CreateVpcCommand({ CidrBlock: "10.94.0.0/16" }))).Vpc!.VpcId!;
const tag = (id: string, value: number): Promise<unknown> =>
  ec2.send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: "count", Value: String(value) }] }));
const count = async (id: string): Promise<number> => {
  const Filters = [{ Name: "resource-id", Values: [id] }];
  return Number((await ec2.send(new DescribeTagsCommand({ Filters }))).Tags?.[0]?.Value);
};
/** A cloud whose API has made three changes and is stopped. */
async function stoppedAfterThreeChanges(): Promise<string> {
  await start();
  const id = await vpc();
  await tag(id, 1);
  await tag(id, 2);
  await stopEc2Api(cloud);
  return id;
}

it("has no tags of what was deleted, of any kind that the project creates", async () => {
  await start();
  const VpcId = await vpc();
  const { Subnet } = await ec2.send(new CreateSubnetCommand({ VpcId, CidrBlock: "10.94.1.0/24" }));
  const GroupName = "tagged";
  const { GroupId } = await ec2.send(new CreateSecurityGroupCommand({ VpcId, GroupName, Description: GroupName }));
  const IpPermissions = [{ IpProtocol: "tcp", FromPort: 1, ToPort: 1, IpRanges: [{ CidrIp: "10.0.0.0/8" }] }];
  const rules = await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions }));
  const SecurityGroupRuleIds = [rules.SecurityGroupRules![0]!.SecurityGroupRuleId!];
  const PublicKeyMaterial = Buffer.from(newKey().public);
  const pair = await ec2.send(new ImportKeyPairCommand({ KeyName: "tagged", PublicKeyMaterial }));
  const { AllocationId } = await ec2.send(new AllocateAddressCommand({ Domain: "vpc" }));
  const eni = await ec2.send(new CreateNetworkInterfaceCommand({ SubnetId: Subnet!.SubnetId }));
  const { NetworkInterfaceId } = eni.NetworkInterface!;
  const ids = [
    Subnet!.SubnetId!,
    GroupId!,
    ...SecurityGroupRuleIds,
    pair.KeyPairId!,
    AllocationId!,
    NetworkInterfaceId!,
  ];
  for (const id of ids) await tag(id, 1);
  const counts = (): Promise<number[]> => Promise.all(ids.map(count));
  expect(await counts()).toEqual(ids.map(() => 1));

  await ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId }));
  await ec2.send(new ReleaseAddressCommand({ AllocationId }));
  await ec2.send(new DeleteKeyPairCommand({ KeyName: "tagged" }));
  await ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId, SecurityGroupRuleIds }));
  await ec2.send(new DeleteSecurityGroupCommand({ GroupId }));
  await ec2.send(new DeleteSubnetCommand({ SubnetId: Subnet!.SubnetId }));
  expect(await counts()).toEqual(ids.map(() => NaN));
});

describe("the state of the EC2 API", () => {
  it("has every acknowledged change after each of 50 kills in the middle of changes", async () => {
    await start();
    const id = await vpc();
    let acknowledged = 0;
    await tag(id, acknowledged);
    for (let kills = 0; kills < 50; kills++) {
      const dies = sleep(Math.random() * 60).then(kill);
      for (let alive = true; alive;) {
        alive = await tag(id, acknowledged + 1).then(
          () => ((acknowledged += 1), true),
          () => false,
        );
      }
      await dies;
      await start();
      const found = await count(id);
      expect([acknowledged, acknowledged + 1]).toContain(found); // the last one may be saved without an answer
      acknowledged = found;
    }
    expect(acknowledged).toBeGreaterThan(50);
    expect(takeLosses(cloud)).toBeUndefined();
  });

  it.each([
    ["empty", () => ""],
    ["cut off", (text: Buffer) => text.subarray(0, text.length - 100)],
    ["changed", (text: Buffer) => Buffer.concat([text.subarray(0, -1), Buffer.from("?")])],
    ["garbage", () => "garbage"],
  ])("goes on with the one before if its file is %s, and says what was lost", async (_, damage) => {
    const id = await stoppedAfterThreeChanges();
    const damaged = damage(readFileSync(file("pickle")));
    writeFileSync(file("pickle"), damaged);
    await start();
    expect(await count(id)).toBe(1);
    const lost = takeLosses(cloud);
    expect(lost).toContain(`${file("pickle")} `);
    expect(lost).toMatch(/goes on without the change (number 3, CreateTags, of \d{4}-|after number 2)/);
    expect(takeLosses(cloud)).toBeUndefined(); // it is said once
    expect(readFileSync(file("damaged"))).toEqual(Buffer.from(damaged));
    await tag(id, 3);
    await stopEc2Api(cloud);
    await start();
    expect(await count(id)).toBe(3);
    expect(takeLosses(cloud)).toBeUndefined();
  });

  it("is refused with a remedy, and stays as it is, if both files are damaged", async () => {
    await stoppedAfterThreeChanges();
    for (const name of ["pickle", "previous"]) writeFileSync(file(name), "garbage");
    await expect(start()).rejects.toThrow(UserError);
    await expect(start()).rejects.toThrow(/cannot be read: .*pickle does not begin.*previous does not.*make down/s);
    expect(["pickle", "previous"].map((name) => readFileSync(file(name), "utf8"))).toEqual(["garbage", "garbage"]);
  });

  it("is complete if the API was killed between the two renamings of a save", async () => {
    const id = await stoppedAfterThreeChanges();
    copyFileSync(file("pickle"), file("previous"));
    rmSync(file("pickle"));
    await start();
    expect(await count(id)).toBe(2);
    expect(takeLosses(cloud)).toBeUndefined();
  });

  it("is read as earlier versions wrote it, without a header", async () => {
    const id = await stoppedAfterThreeChanges();
    const content = readFileSync(file("pickle"));
    writeFileSync(file("pickle"), content.subarray(content.indexOf("\n") + 1));
    await start();
    expect(await count(id)).toBe(2);
    await tag(id, 3);
    expect(readFileSync(file("pickle"), "utf8")).toMatch(/^\{"change": 1, "action": "CreateTags"/);
  });

  it("does not have a change that did not fit on the disk, which fails; later changes work", async () => {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", cloud.stateDir]);
    try {
      await start();
      const id = await vpc();
      await tag(id, 1);
      const filler = join(cloud.stateDir, "filler");
      try {
        execFileSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=4096"], { stdio: "ignore" });
      } catch {
        // that it ends for lack of space is the point
      }
      const before = readFileSync(file("pickle"));
      const full = /local cloud could not save its state, so \w+ was not carried out: .*No space left.*Free some space/;
      await expect(tag(id, 2)).rejects.toThrow(full);
      await expect(vpc()).rejects.toThrow(full);
      const group = new CreateTargetGroupCommand({ Name: "t", Protocol: "TCP", Port: 1, VpcId: id });
      await expect(balancing.send(group)).rejects.toThrow(full);
      expect(await count(id)).toBe(1);
      const Filters = [{ Name: "is-default", Values: ["false"] }];
      expect((await ec2.send(new DescribeVpcsCommand({ Filters }))).Vpcs).toHaveLength(1);
      expect((await balancing.send(new DescribeTargetGroupsCommand({}))).TargetGroups).toEqual([]);
      expect(readFileSync(file("pickle"))).toEqual(before);

      rmSync(filler);
      await tag(id, 3);
      await kill();
      await start();
      expect(await count(id)).toBe(3);
      expect(readdirSync(cloud.stateDir).filter((name) => name.endsWith(".new"))).toEqual([]);
    } finally {
      await stopEc2Api(cloud);
      execFileSync("umount", [cloud.stateDir]);
    }
    expect(existsSync(file("pickle"))).toBe(false);
  });
});

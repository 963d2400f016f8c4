/** Every key of the configuration, changed on a cluster with data in it: what docs/configuration.md says comes true. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DescribeSecurityGroupRulesCommand,
  DescribeVolumesCommand,
  EC2Client,
  SecurityGroupRule,
} from "@aws-sdk/client-ec2";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { changes } from "../../cluster/config/changes";
import { images } from "../../cluster/versions";
import { Issuer } from "../support/issuer";
import { newKey } from "../support/world";
import { etcdctl, healthy } from "../support/etcd";
import { clusterFor, type Needs } from "../support/needs";
import { record } from "../support/results";
import { whileWriting } from "../support/writing";

const needs: Needs = { preset: "local", values: { workerCount: 1, openNodePorts: undefined } };
const cluster = clusterFor("keys", needs);
const { network, port } = cluster.at;

/** Changed on a living cluster, together with the others of its kind. */
interface Allowed {
  readonly value: unknown;
  /** Asks the cluster or its machines, not Pulumi, what is so now. */
  readonly see: () => Promise<string>;
  /** What that is with the value; before and after, it is something else. */
  readonly becomes: string | RegExp;
}
interface Refused {
  readonly refused: unknown;
  /** What else has to change for the configuration to be valid. */
  readonly with?: Readonly<Record<string, unknown>>;
}
/** A test of its own, below or in another file. */
interface Elsewhere {
  readonly elsewhere: string;
}

const folder = mkdtempSync(join(tmpdir(), "kfs-keys-"));
afterAll(() => rmSync(folder, { recursive: true }));
const sshKey = newKey();
const sshKeyFile = join(folder, "id");
writeFileSync(sshKeyFile, sshKey.private, { mode: 0o600 });

const on = (machine: string, command: string) => (): Promise<string> => cluster.ssh(machine, command);
const kubelet = (field: string) => async (): Promise<string> => {
  const { kubeletconfig } = JSON.parse(await cluster.kubectl`get --raw /api/v1/nodes/worker-0/proxy/configz`) as {
    kubeletconfig: Record<string, Record<string, string>>;
  };
  return kubeletconfig[field]?.["cpu"] ?? "nothing";
};
/** Whether a program on controller-0 runs with a flag. */
const flag = (program: string, name: string) =>
  on("controller-0", `tr '\\0' '\\n' </proc/$(pidof ${program})/cmdline | grep -e --${name}= || echo default`);
const issuer = new Issuer(`${network}.1.21`);
const ec2 = (): EC2Client =>
  new EC2Client({
    region: "ap-southeast-1",
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
const rules = async (): Promise<SecurityGroupRule[]> =>
  (await ec2().send(new DescribeSecurityGroupRulesCommand({}))).SecurityGroupRules ?? [];
const certificate = (option: string) =>
  on("controller-0", `sudo openssl x509 -noout -in /etc/kubernetes/pki/kube-apiserver.pem ${option}`);

const keys = {
  region: { refused: "eu-west-1" },
  zones: { refused: 3 },
  controlPlaneCount: { value: 3, see: on("controller-0", `${etcdctl} member list | wc -l`), becomes: "3" },
  workerCount: {
    value: 2,
    see: () => cluster.kubectl`get nodes -o name -l !node-role.kubernetes.io/control-plane`,
    becomes: "node/worker-0\nnode/worker-1",
  },
  // within their architecture, they are rolled: test/drills/instance-types.test.ts
  controlPlaneInstanceType: { refused: "t4g.medium" },
  workerInstanceType: { refused: "t4g.medium" },
  balancerInstanceType: { elsewhere: "test/unit/cluster/changes.test.ts, because there is no balancer at first" },
  rootVolumeGiB: { elsewhere: "below, because it cannot shrink; test/e2e/volume.test.ts on a real volume" },
  sshPrivateKeyFile: {
    value: sshKeyFile,
    see: async () => {
      const options = [
        "IdentitiesOnly=yes",
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
      ];
      const login = ["-F", "none", "-i", sshKeyFile, ...options.flatMap((option) => ["-o", option])];
      const { exitCode } = await execa("ssh", [...login, `admin@${network}.1.21`, "true"], { reject: false });
      return exitCode === 0 ? "accepted" : "rejected";
    },
    becomes: "accepted",
  },
  clusterName: { refused: "other" },
  vpcCidr: { refused: `${network}.0.0/17` },
  podCidr: { refused: "10.201.0.0/16" },
  serviceCidr: { refused: "10.33.0.0/24", with: { clusterDns: "10.33.0.10" } },
  clusterDns: { refused: "10.32.0.11" },
  adminCidr: {
    value: `${network}.0.0/30`,
    see: async () =>
      [...new Set((await rules()).flatMap((rule) => (rule.FromPort === 22 && rule.CidrIpv4) || []))].join(),
    becomes: `${network}.0.0/30`,
  },
  adminAccess: {
    elsewhere: "test/program/program.test.ts, because this machine has no public way into the local cloud",
  },
  openNodePorts: {
    value: true,
    see: () =>
      new Promise((resolve) => {
        const socket = connect({ host: `${network}.1.21`, port: 32_000, timeout: 2000 });
        socket.on("timeout", () => (socket.destroy(), resolve("closed")));
        socket.on("error", () => resolve("open")); // refused, because no Service uses it
      }),
    becomes: "open",
  },
  egress: {
    value: "downloads",
    see: async () => {
      const names = (await rules()).map(({ Tags = [] }) => Tags.find(({ Key }) => Key === "Name")?.Value ?? "");
      return names.some((name) => name.startsWith("worker-download-")) ? "downloads" : "no restriction";
    },
    becomes: "downloads",
  },
  apiEndpoint: {
    value: "haproxy",
    see: () => cluster.kubectl`config view -o jsonpath={.clusters[0].cluster.server}`,
    becomes: `https://${network}.1.10:6443`,
  },
  stage: { elsewhere: "below" },
  kubernetesVersion: { elsewhere: "test/drills/upgrade.test.ts, because it takes a second release" },
  etcdVersion: {
    value: "v3.6.15",
    see: on("controller-0", `${etcdctl} endpoint status -w json | grep -oE '"version":"[^"]+'`),
    becomes: '"version":"3.6.15',
  },
  kubeProxyMode: {
    value: "nftables",
    see: on("worker-0", "curl -s http://127.0.0.1:10249/proxyMode"),
    becomes: "nftables",
  },
  kubeReserved: { value: { cpu: "150m" }, see: kubelet("kubeReserved"), becomes: "150m" },
  systemReserved: { value: { cpu: "50m" }, see: kubelet("systemReserved"), becomes: "50m" },
  apiServerArgs: {
    value: { "event-ttl": "2h" },
    see: flag("kube-apiserver", "event-ttl"),
    becomes: "--event-ttl=2h",
  },
  apiServerNames: {
    value: ["k8s.example.org", "192.0.2.1"],
    see: certificate("-ext subjectAltName | grep -oE 'k8s.example.org|192.0.2.1' | sort | paste -s -d ,"),
    becomes: "192.0.2.1,k8s.example.org",
  },
  jwtAuthenticators: {
    value: [
      {
        issuer: { url: issuer.url, audiences: ["lab"], certificateAuthority: issuer.certificate },
        claimMappings: { username: { claim: "sub", prefix: "oidc:" }, groups: { claim: "groups", prefix: "oidc:" } },
      },
    ],
    see: async () => {
      const token = issuer.token({ sub: "ada", groups: ["engineers"], aud: "lab" });
      const server = await cluster.kubectl`config view -o jsonpath={.clusters[0].cluster.server}`;
      const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
      const curl = `curl -sk --retry 30 --retry-delay 1 -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' --data '${JSON.stringify(review)}' ${server}/apis/authentication.k8s.io/v1/selfsubjectreviews`;
      // the API server fetches the issuer's keys in the background, once it runs
      for (let tries = 0; ; tries++) {
        const answer = JSON.parse(await cluster.shell(curl)) as {
          reason?: string;
          status?: { userInfo?: { username: string; groups: string[] } };
        };
        const { username, groups = [] } = answer.status?.userInfo ?? {};
        if (username !== undefined) return `${username} in ${groups.join()}`;
        if (tries === 10) return String(answer.reason);
        await sleep(1000);
      }
    },
    becomes: /^oidc:ada in oidc:engineers/,
  },
  controllerManagerArgs: {
    value: { "concurrent-gc-syncs": 10 },
    see: flag("kube-controller-manager", "concurrent-gc-syncs"),
    becomes: "--concurrent-gc-syncs=10",
  },
  schedulerArgs: {
    value: { "leader-elect-lease-duration": "20s" },
    see: flag("kube-scheduler", "leader-elect-lease-duration"),
    becomes: "--leader-elect-lease-duration=20s",
  },
  kubeletConfig: {
    value: { maxPods: 50, cpuManagerPolicy: "static" },
    see: async () =>
      `${await cluster.kubectl`get node worker-0 -o jsonpath={.status.allocatable.pods}`} ${await on("worker-0", 'sudo grep -o \'"policyName":"[a-z]*\' /var/lib/kubelet/cpu_manager_state')()}`,
    becomes: '50 "policyName":"static',
  },
  featureGates: {
    value: { ContextualLogging: false },
    see: async () => {
      const own = await cluster.kubectl`get --raw /api/v1/nodes/worker-0/proxy/metrics`;
      const proxy = await on("worker-0", "curl -s http://127.0.0.1:10249/metrics")();
      const server = await cluster.kubectl`get --raw /metrics`;
      return [own, proxy, server]
        .map((metrics) => /^kubernetes_feature_enabled\{name="ContextualLogging".*\} (\d)$/m.exec(metrics)?.[1])
        .join("");
    },
    becomes: "000",
  },
  nodeLabels: {
    value: { tier: "lab", "worker-0": { disk: "ssd" } },
    see: () => cluster.kubectl`get node worker-0 -o jsonpath={.metadata.labels.tier}${" "}{.metadata.labels.disk}`,
    becomes: "lab ssd",
  },
  nodeTaints: {
    value: { "worker-0": ["dedicated=lab:NoSchedule"] },
    see: () => cluster.kubectl`get node worker-0 -o jsonpath={.spec.taints}`,
    becomes: '[{"effect":"NoSchedule","key":"dedicated","value":"lab"}]',
  },
  mirror: { elsewhere: "below" },
  registryMirror: { elsewhere: "below" },
  encryptionKey: {
    value: Buffer.alloc(32, 7).toString("base64"),
    see: on(
      "controller-0",
      `${etcdctl} get /registry/secrets/default/kept --print-value-only | head -n 1 | cut -d : -f 5`,
    ),
    becomes: /^key-\w+$/,
  },
  certificateValidityHours: {
    value: 4380,
    see: async () => {
      const [start = 0, end = 0] = [...(await certificate("-dates")()).matchAll(/=(.*)/g)].map(([, date]) =>
        Date.parse(date!),
      );
      return String((end - start) / 3_600_000);
    },
    becomes: "4380",
  },
  certificateEpoch: { value: 1, see: certificate("-serial"), becomes: /^serial=/ },
  awsEndpoint: { refused: "http://192.0.2.1:5000" },
} satisfies Record<keyof typeof changes, Allowed | Refused | Elsewhere>;

const entries = Object.entries(keys) as [keyof typeof keys, Allowed | Refused | Elsewhere][];
const allowed = entries.flatMap(([key, entry]) => ("value" in entry ? [{ key, ...entry }] : []));
const refused = entries.flatMap(([key, entry]) => ("refused" in entry ? [{ key, ...entry }] : []));

/** What must survive: objects, and pods that have not restarted. */
async function data(): Promise<string> {
  const pods = "jsonpath={range .items[*]}{.metadata.uid}:{.status.containerStatuses[0].restartCount}{end}";
  return [
    await cluster.kubectl`get configmap kept -n default -o jsonpath={.data}`,
    await cluster.kubectl`get secret kept -n default -o jsonpath={.data}`,
    await cluster.kubectl`get pods -n default -l app=kept -o ${pods}`,
  ].join("\n");
}
const seen = async (): Promise<Record<string, string>> => {
  const answers: Record<string, string> = {};
  for (const { key, see } of allowed) answers[key] = await see();
  return answers;
};
/** The machines, and what they were started as. */
const machines = async (): Promise<string> => (await cluster.cloud`status`).replace(/ up .*/g, "");

const kept = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "kept", namespace: "default" },
  spec: {
    selector: { matchLabels: { app: "kept" } },
    template: {
      metadata: { labels: { app: "kept" } },
      spec: { containers: [{ name: "pause", image: images.pause }], terminationGracePeriodSeconds: 1 },
    },
  },
};

let before: { data: string; seen: Record<string, string> };
beforeAll(async () => {
  await issuer.serve(cluster, "worker-0");
  await cluster.kubectl`create configmap kept -n default --from-literal=a=b`;
  await cluster.kubectl`create secret generic kept -n default --from-literal=c=d`;
  await cluster.apply(JSON.stringify(kept));
  await cluster.kubectl`rollout status deployment/kept -n default --timeout=90s`;
  before = { data: await data(), seen: await seen() };
});

describe("new clusters only", () => {
  it.each(refused)(
    "$key is refused, with both values, and nothing is changed",
    async ({ key, refused: value, with: others = {} }) => {
      const running = await machines();
      cluster.configure({ [key]: value, ...others });
      const { exitCode, all } = await cluster.tryMake`up`;
      for (const changed of [key, ...Object.keys(others)]) cluster.configure({ [changed]: original[changed] });
      expect(exitCode).not.toBe(0);
      expect(all).toMatch(new RegExp(`\\n +${key}\\n +\\S.* -> .*${String(value).replaceAll(".", "\\.")}`));
      expect(all).toContain("nothing was changed");
      expect(all).toContain(`make down STACK=${cluster.at.stack}`);
      expect(await machines()).toBe(running);
    },
  );

  it("plain `pulumi up` and `pulumi preview` refuse them as well", async () => {
    const config = `.lab/${cluster.at.stack}/Pulumi.${cluster.at.stack}.yaml`;
    cluster.configure({ podCidr: "10.201.0.0/16" });
    await cluster.tryMake`preview`; // writes the configuration
    cluster.configure({ podCidr: undefined });
    for (const command of ["pulumi preview", "pulumi up --yes --skip-preview"]) {
      const error = await cluster.shell(`${command} --stack ${cluster.at.stack} --config-file ${config}`).catch(String);
      expect(error).toMatch(/podCidr\n +10\.200\.0\.0\/16 -> 10\.201\.0\.0\/16/);
    }
    expect(await data()).toBe(before.data);
    expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
  });
});

/** What the refused keys were. */
const original: Readonly<Record<string, unknown>> = {
  region: "ap-southeast-1",
  vpcCidr: `${network}.0.0/16`,
  awsEndpoint: `http://127.0.0.1:${port}`,
};

describe("in place, and rolled", () => {
  it("every change takes effect, all in one update, and the data stays", async () => {
    for (const { key, value } of allowed)
      if (key === "encryptionKey") await cluster.configureSecret(key, String(value));
      else cluster.configure({ [key]: value });
    const report = await whileWriting(cluster, async () => void (await cluster.make`up`));
    const now = await seen();
    for (const { key, becomes } of allowed) {
      expect(now[key], key).toMatch(becomes);
      expect(now[key], key).not.toBe(before.seen[key]);
    }
    expect(await data()).toBe(before.data);
    expect(report.lost).toEqual([]);
    record(`${allowed.length} keys changed in one update`, `${report.acknowledged} writes, 0 lost`);
  });

  it("a flag with which an API server does not start is taken back, while the others serve", () => rejectFlag(3));

  it("what a key has configured goes away with it", async () => {
    for (const { key } of allowed) cluster.configure({ [key]: former[key] });
    await cluster.make`up`;
    const { certificateEpoch: renewed, ...now } = await seen();
    const { certificateEpoch: serial, ...then } = before.seen;
    expect(now).toEqual(then);
    expect(renewed).not.toBe(serial);
    expect(await data()).toBe(before.data);
    expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
  });

  it("LOSE_DATA=yes loses nothing while the data is there", async () => {
    expect(await cluster.make`up LOSE_DATA=yes`).toMatch(/Resources:\s+\d+ unchanged/);
    expect(await cluster.ssh("controller-0", "ls /run/kubernetes-from-scratch")).not.toContain("lose-data");
    expect(await data()).toBe(before.data);
  });

  it("the only API server serves again with its former flags", () => rejectFlag(1));

  it.each([
    {
      key: "jwtAuthenticators",
      value: [
        { issuer: { url: issuer.url, audiences: ["lab"] }, claimMappings: { username: { expression: "claims." } } },
      ],
      says: /error: the API server on controller-0 does not come up with jwt: .*jwtAuthenticators/,
    },
    {
      key: "controllerManagerArgs",
      value: { controllers: "no-such-controller" },
      says: /error: kube-controller-manager on controller-0 does not come up with --controllers=no-such-controller\..*controllerManagerArgs/,
    },
    {
      key: "kubeletConfig",
      value: { evictionHard: { "memory.available": "much" } },
      says: /error: kubelet on (controller|worker)-0 does not come up with .*much.*kubeletConfig/,
    },
  ])("$key with which a component does not start is taken back", async ({ key, value, says }) => {
    cluster.configure({ [key]: value });
    const { exitCode, all } = await cluster.tryMake`up`;
    expect(exitCode).not.toBe(0);
    expect(all).toMatch(says);
    cluster.configure({ [key]: undefined });
    expect(await cluster.make`status`).toMatch(/^nodes +2 of 2 Ready/m);
    expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
    expect(await data()).toBe(before.data);
  });

  it("volumes grow, and cannot shrink", async () => {
    cluster.configure({ rootVolumeGiB: 30 });
    await cluster.make`up`;
    const { Volumes = [] } = await ec2().send(new DescribeVolumesCommand({}));
    expect(Volumes.filter(({ State }) => State === "in-use").map(({ Size }) => Size)).toEqual([30, 30]);
    expect(await data()).toBe(before.data);
    cluster.configure({ rootVolumeGiB: 20 });
    const { all } = await cluster.tryMake`up`;
    expect(all).toMatch(/rootVolumeGiB\n +30 -> 20\n/);
    cluster.configure({ rootVolumeGiB: 30 });
    expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
  });

  it("without mirrors and at an earlier stage, everything that was installed keeps running", async () => {
    const hosts = on("worker-0", "cat /etc/containerd/certs.d/_default/hosts.toml");
    expect(await hosts()).toContain(`${network}.0.1:8080`);
    cluster.configure({ mirror: undefined, registryMirror: undefined, stage: "network" });
    expect(await cluster.make`up`).toMatch(/^stage +network/m);
    expect(await hosts()).not.toContain("8080");
    await cluster.kubectl`rollout status deployment/coredns -n kube-system --timeout=10s`;
    expect(await data()).toBe(before.data);
  });
});

/** A flag that only the machine can find fault with. @param count of control-plane machines. */
async function rejectFlag(count: number): Promise<void> {
  const { apiServerArgs } = keys;
  const present = count > 1 ? apiServerArgs.value : {};
  const flags = await apiServerArgs.see();
  cluster.configure({ apiServerArgs: { ...present, "audit-webhook-config-file": "/missing" } });
  const report = await whileWriting(cluster, async () => {
    const { exitCode, all } = await cluster.tryMake`up`;
    expect(exitCode).not.toBe(0);
    expect(all).toMatch(/last errors:\n[^]*\/missing: no such file/);
    expect(all).toMatch(
      /error: the API server on controller-\d does not come up with --audit-webhook-config-file=\/missing\./,
    );
  });
  expect(report.lost).toEqual([]);
  if (count > 1) expect(report.givenUp).toBe(0);
  await healthy(cluster, count);
  expect(await apiServerArgs.see()).toBe(flags);
  cluster.configure({ apiServerArgs: present });
  expect(await cluster.make`up`).toMatch(/Resources:\s+\d+ unchanged/);
  expect(await data()).toBe(before.data);
}

/** What the changed keys were, if they were set. */
const former: Readonly<Record<string, unknown>> = {
  controlPlaneCount: 1,
  workerCount: 1,
  adminCidr: `${network}.0.1/32`,
};

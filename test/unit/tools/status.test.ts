/** What `make status` concludes from what it found: each fault by itself, what hides behind another, what is not expected. */
import type { V1MicroTime } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import type { Stage } from "../../../cluster/shape";
import type { ApiServer, EtcdMember, Facts, Machine, NodeStatus, Subject } from "../../../tools/status/facts";
import { findings, formatFindings } from "../../../tools/status/findings";
import { renderReport } from "../../../tools/status/report";
import { readNodes } from "../../../tools/status/api";
import { addresses, lastStage } from "../../../tools/status/subject";

const controllers = ["controller-0", "controller-1", "controller-2"];
const workers = ["worker-0", "worker-1"];
const expiry = "2026-11-25T19:20:11Z";

const machine = (name: string, index: number): Machine => ({
  name,
  role: name.startsWith("controller") ? "control-plane" : "worker",
  zone: "ap-southeast-1a",
  privateIp: `10.1.1.${index}`,
  publicIp: `203.0.113.${index}`,
  instanceId: `i-${name}`,
  address: `10.1.1.${index}`,
});
const subject: Subject = {
  stack: "local",
  isLocal: true,
  region: "ap-southeast-1",
  kubeconfig: ".lab/local/kubeconfig",
  sshConfig: ".lab/local/ssh_config",
  stage: "dns",
  machines: [...controllers, ...workers].map(machine),
  apiEndpoint: "https://api.example:6443",
  certificates: { "kube-apiserver": expiry, "kubernetes-ca": "2035-11-25T19:20:11Z", admin: expiry },
};
const aws: Subject = { ...subject, stack: "dev", isLocal: false, sshConfig: ".lab/dev/ssh_config" };

const member: EtcdMember = { version: "3.6.16", isLeader: false, isLearner: false };
const apiServer: ApiServer = { failing: [], version: "v1.36.3", certificateExpiry: new Date(expiry) };
const node = (name: string): NodeStatus => ({ name, isReady: true, message: "", version: "v1.36.3" });

const all = <T>(names: readonly string[], value: T) => Object.fromEntries(names.map((name) => [name, { value }]));
const silent = { error: "no response within 5 s" };

/** Instances of the machines; a change per machine, undefined for one that does not exist. */
const instances = (
  changes: Record<string, { state?: string; isImpaired?: boolean; publicIp?: string } | undefined> = {},
): Facts["instances"] => ({
  value: new Map(
    subject.machines
      .filter(({ name }) => !(name in changes) || changes[name])
      .map(({ name, instanceId, publicIp }) => [
        instanceId,
        { state: "running", isImpaired: false, publicIp, ...changes[name] },
      ]),
  ),
});

const healthy: Facts = {
  subject,
  at: new Date("2025-11-25T20:00:00Z"),
  instances: instances(),
  ssh: all([...controllers, ...workers], "SSH-2.0"),
  etcd: { ...all(controllers, member), "controller-1": { value: { ...member, isLeader: true } } },
  apiServers: all(controllers, apiServer),
  endpoint: { value: apiServer },
  nodes: { value: [...controllers, ...workers].map(node) },
  dns: { value: { isAvailable: true, replicas: 2, available: 2 } },
};

/** Facts of machines that no longer respond to anything. */
function without(names: readonly string[], rest: Partial<Facts>): Facts {
  const quiet = Object.fromEntries(names.map((name) => [name, silent]));
  const ofControllers = Object.fromEntries(Object.entries(quiet).filter(([name]) => controllers.includes(name)));
  return {
    ...healthy,
    ssh: { ...healthy.ssh, ...quiet },
    etcd: { ...healthy.etcd, ...ofControllers },
    apiServers: { ...healthy.apiServers, ...ofControllers },
    nodes: {
      value: [...controllers, ...workers].map((name) =>
        names.includes(name)
          ? { ...node(name), isReady: false, message: "Kubelet stopped posting node status." }
          : node(name),
      ),
    },
    ...rest,
  };
}

/** The only finding. */
function only(facts: Facts): string {
  const found = findings(facts);
  expect(found, found.map(({ fault }) => fault).join("\n")).toHaveLength(1);
  return `${found[0]?.fault} | ${found[0]?.remedy}`;
}

it("finds nothing in a healthy cluster", () => expect(findings(healthy)).toEqual([]));

describe("machines", () => {
  it("that are stopped", () => {
    const found = only(without(["worker-1"], { instances: instances({ "worker-1": { state: "stopped" } }) }));
    expect(found).toMatch(/^worker-1 is stopped\. \| .*`make up`.*`tsx cloud\/cli\.ts start worker-1`/);
  });

  it("that are stopped, on AWS", () => {
    const stopped = instances({ "worker-1": { state: "stopped" } });
    const found = only(without(["worker-1"], { subject: aws, instances: stopped }));
    expect(found).toContain("`make up STACK=dev`");
    expect(found).toContain("`aws ec2 start-instances --region ap-southeast-1 --instance-ids i-worker-1`");
  });

  it("that have died, and fail their status checks", () => {
    const found = only(without(["worker-1"], { instances: instances({ "worker-1": { isImpaired: true } }) }));
    expect(found).toMatch(/^worker-1 .*status checks.* \| .*`make up`.*`tsx cloud\/cli\.ts start worker-1`/);
  });

  it("that have died, and fail their status checks, on AWS", () => {
    const impaired = instances({ "worker-1": { isImpaired: true } });
    const found = only(without(["worker-1"], { subject: aws, instances: impaired }));
    expect(found).toContain("`aws ec2 reboot-instances --region ap-southeast-1 --instance-ids i-worker-1`");
  });

  it("that no longer exist", () => {
    const found = only(without(["worker-1"], { instances: instances({ "worker-1": undefined }) }));
    expect(found).toMatch(/^worker-1 .*i-worker-1.* no longer exists\. \| .*`make up`/);
    const terminated = instances({ "worker-1": { state: "terminated" } });
    expect(only(without(["worker-1"], { instances: terminated }))).toMatch(/no longer exists/);
  });

  it.each(["pending", "stopping", "shutting-down"])("that are %s", (state) => {
    expect(only(without(["worker-1"], { instances: instances({ "worker-1": { state } }) }))).toContain(
      `worker-1 is ${state}.`,
    );
  });

  it("that have another public address than the SSH configuration", () => {
    const machines = subject.machines.map((each) => ({ ...each, address: each.publicIp ?? "" }));
    const moved = instances({ "worker-1": { publicIp: "198.51.100.7" } });
    const found = only(without(["worker-1"], { subject: { ...aws, machines }, instances: moved }));
    expect(found).toMatch(/^worker-1 .*198\.51\.100\.7.*203\.0\.113\.4.* \| .*`make up STACK=dev`/);
    expect(findings({ ...healthy, instances: moved }), "private addresses do not change").toEqual([]);
  });

  it("that do not respond although EC2 reports nothing", () => {
    const found = only(without(["worker-1"], {}));
    expect(found).toMatch(/^worker-1 .*SSH.*10\.1\.1\.4.*no response within 5 s.* \| .*`tsx cloud\/cli\.ts/);
    expect(only(without(["worker-1"], { subject: aws }))).toContain("get-console-output");
  });

  it("none of which responds on AWS: probably this machine's own address has changed", () => {
    const found = only(without([...controllers, ...workers], { subject: aws, nodes: silent }));
    expect(found).toMatch(/None of the machines .*\| .*adminCidr/);
  });
});

describe("EC2", () => {
  it("that is not there: the local cloud is down, and everything else with it", () => {
    const error = { error: "connect ECONNREFUSED 127.0.0.1:5001" };
    const found = only(without([...controllers, ...workers], { instances: error }));
    expect(found).toMatch(/^The local cloud is not running .*\| .*`make up`/);
  });

  it("that does not respond on AWS, while the cluster is healthy", () => {
    const instances = { error: "The security token included in the request is expired" };
    expect(only({ ...healthy, subject: aws, instances })).toMatch(/^EC2 .*expired.*\| .*aws sts get-caller-identity/);
  });
});

describe("etcd", () => {
  const on = (name: string, answer: Facts["etcd"][string]): Facts => ({
    ...healthy,
    etcd: { ...healthy.etcd, [name]: answer },
  });

  it("that does not respond", () => {
    expect(only(on("controller-2", { error: "connection refused" }))).toMatch(
      /^etcd on controller-2 .*connection refused.* \| .*`ssh -F \.lab\/local\/ssh_config controller-2 sudo journalctl -u etcd/,
    );
  });

  it("that is unhealthy", () => {
    const full = { ...member, fault: "Active Alarm(s): NOSPACE" };
    expect(only(on("controller-2", { value: full }))).toMatch(/^etcd on controller-2 is unhealthy.*NOSPACE/);
  });

  it("that has not become a voting member", () => {
    expect(only(on("controller-2", { value: { ...member, isLearner: true } }))).toMatch(
      /^etcd on controller-2 .*voting/,
    );
  });

  it("without a quorum, because machines are down: only those are to be started", () => {
    const down = ["controller-1", "controller-2"];
    const facts = without(down, {
      instances: instances({ "controller-1": { isImpaired: true }, "controller-2": { state: "stopped" } }),
      endpoint: silent,
      nodes: silent,
      dns: silent,
    });
    const noQuorum = { value: { ...member, fault: "context deadline exceeded" } };
    const found = findings({
      ...facts,
      etcd: { ...facts.etcd, "controller-0": noQuorum },
      apiServers: { ...facts.apiServers, "controller-0": { value: { ...apiServer, failing: ["etcd"] } } },
    });
    expect(found.map(({ fault }) => fault.split(" ")[0])).toEqual(["controller-1", "controller-2"]);
  });
});

describe("the API", () => {
  const on = (name: string, answer: Facts["apiServers"][string]): Facts => ({
    ...healthy,
    apiServers: { ...healthy.apiServers, [name]: answer },
  });

  it("server that does not respond", () => {
    expect(only(on("controller-1", { error: "connect ECONNREFUSED 10.1.1.1:6443" }))).toMatch(
      /^The API server on controller-1 does not respond .*ECONNREFUSED.* \| .*`ssh -F \S+ controller-1 sudo .*kube-apiserver/,
    );
  });

  it("server that is not ready", () => {
    const failing = { ...apiServer, failing: ["poststarthook/rbac/bootstrap-roles"] };
    expect(only(on("controller-1", { value: failing }))).toMatch(
      /^The API server on controller-1 is not ready \(poststarthook\/rbac\/bootstrap-roles\)/,
    );
  });

  it("server that serves another certificate than the stack's", () => {
    const other = { ...apiServer, certificateExpiry: new Date("2026-01-01T00:00:00Z") };
    const found = only(on("controller-1", { value: other }));
    expect(found).toMatch(/^The API server on controller-1 .*2026-01-01.*2026-11-25.* \| .*restart kube-apiserver/);
  });

  it("endpoint that does not respond although API servers are ready", () => {
    expect(only({ ...healthy, endpoint: silent, nodes: silent, dns: silent })).toMatch(
      /^The API endpoint https:\/\/api\.example:6443 .*\| .*load balancer/,
    );
    const balancer: Machine = { ...machine("balancer", 9), role: "balancer" };
    const found = only({
      ...healthy,
      subject: { ...subject, machines: [...subject.machines, balancer] },
      instances: {
        value: new Map([
          ...("value" in healthy.instances ? healthy.instances.value : []),
          [balancer.instanceId, { state: "running", isImpaired: false, publicIp: undefined }],
        ]),
      },
      ssh: { ...healthy.ssh, balancer: { value: "SSH-2.0" } },
      endpoint: silent,
      nodes: silent,
      dns: silent,
    });
    expect(found).toContain("`ssh -F .lab/local/ssh_config balancer sudo systemctl restart haproxy`");
  });

  it("servers that are all down hide nodes and DNS, about which nothing is known then", () => {
    const down = Object.fromEntries(controllers.map((name) => [name, { error: "connect ECONNREFUSED" }]));
    const found = findings({ ...healthy, apiServers: down, endpoint: silent, nodes: silent, dns: silent });
    expect(found.map(({ fault }) => /API server on (\S+)/.exec(fault)?.[1])).toEqual(controllers);
  });
});

describe("nodes and DNS", () => {
  const nodes = (change: (all: NodeStatus[]) => NodeStatus[]): Facts => ({
    ...healthy,
    nodes: { value: change([...controllers, ...workers].map(node)) },
  });

  it("a node that is NotReady", () => {
    const notReady = (each: NodeStatus) =>
      each.name === "worker-0" ? { ...each, isReady: false, message: "cni plugin not initialized" } : each;
    expect(only(nodes((all) => all.map(notReady)))).toMatch(
      /^Node worker-0 is NotReady \(cni plugin not initialized\)\. \| .*`ssh -F \S+ worker-0 sudo .*kubelet/,
    );
  });

  it("a node that is not registered", () => {
    expect(only(nodes((all) => all.filter(({ name }) => name !== "worker-0")))).toMatch(
      /^worker-0 is not registered as a node/,
    );
  });

  it("nodes that cannot be listed", () => {
    expect(only({ ...healthy, nodes: { error: "HTTP 403" } })).toMatch(/^The nodes cannot be listed \(HTTP 403\)/);
  });

  it("CoreDNS that is not available", () => {
    const dns = { value: { isAvailable: false, replicas: 2, available: 0 } };
    expect(only({ ...healthy, dns })).toMatch(/^CoreDNS is not available \(0 of 2 replicas\)\. \| .*`kubectl /);
    expect(only({ ...healthy, dns: { error: "HTTP 404" } })).toMatch(/^CoreDNS .*HTTP 404/);
  });
});

describe("certificates and versions", () => {
  it("certificates that have expired", () => {
    const certificates = { ...subject.certificates, admin: "2025-11-24T00:00:00Z" };
    expect(only({ ...healthy, subject: { ...subject, certificates } })).toMatch(
      /^These certificates have expired: admin\. \| .*certificateEpoch.*`make up`/,
    );
  });

  it("different versions of Kubernetes", () => {
    const old = [...controllers, ...workers].map(node).map((each) => ({
      ...each,
      version: each.name === "worker-1" ? "v1.36.1" : each.version,
    }));
    expect(only({ ...healthy, nodes: { value: old } })).toMatch(
      /Kubernetes.*v1\.36\.1 \(worker-1\).*v1\.36\.3 \(controller-0, .*worker-0\)\. \| .*`make up`/,
    );
  });

  it("different versions of etcd", () => {
    const etcd = { ...healthy.etcd, "controller-2": { value: { ...member, version: "3.6.15" } } };
    expect(only({ ...healthy, etcd })).toMatch(/etcd.*3\.6\.15 \(controller-2\).*3\.6\.16/);
  });
});

describe("a stage", () => {
  const stopAt = (stage: Stage, rest: Partial<Facts> = {}): Facts => ({
    ...healthy,
    subject: { ...subject, stage },
    ...{ endpoint: undefined, nodes: undefined, dns: undefined },
    ...rest,
  });
  const notReady = [...controllers, ...workers].map((name) => ({
    ...node(name),
    isReady: false,
    message: "no network",
  }));

  it("does not expect what a later one makes", () => {
    expect(findings(stopAt("machines", { etcd: {}, apiServers: {} }))).toEqual([]);
    expect(findings(stopAt("etcd", { apiServers: {} }))).toEqual([]);
    expect(findings(stopAt("control-plane", { endpoint: healthy.endpoint }))).toEqual([]);
    const workers = stopAt("workers", { endpoint: healthy.endpoint, nodes: { value: notReady } });
    expect(findings(workers)).toEqual([]);
    expect(findings(stopAt("network", { endpoint: healthy.endpoint, nodes: { value: notReady } }))).toHaveLength(5);
  });

  it("is that of the last steps that have run", () => {
    expect(lastStage({})).toBe("machines");
    expect(lastStage({ "machine@controller-0": "", "etcd@controller-0": "" })).toBe("etcd");
    expect(lastStage({ "dns@controller-0": "", "machine@controller-0": "", "no-longer@worker-0": "" })).toBe("dns");
  });
});

describe("what is printed", () => {
  it("names the parts of each machine, and the cluster as a whole", () => {
    const report = renderReport(healthy);
    expect(report).toMatch(/^controller-1 +control-plane .* running$/m);
    expect(report).toMatch(/^controller-1 +ok +leader +ready +2026-11-25 +Ready +v1\.36\.3$/m);
    expect(report).toMatch(/^worker-0 +ok +- +- +- +Ready +v1\.36\.3$/m);
    expect(report).toMatch(/^etcd +3\.6\.16, 3 of 3 members healthy, led by controller-1$/m);
    expect(report).toMatch(
      /^certificates +3, the first to expire on 2026-11-25 \(in 364 days\): kube-apiserver, admin$/m,
    );
    expect(report).toMatch(/^stage +dns/m);
    expect(report.split("\n").length).toBeLessThan(24);
  });

  it("names what does not respond", () => {
    const impaired = instances({ "controller-2": { isImpaired: true }, "worker-0": undefined });
    const report = renderReport(without(["controller-2", "worker-0"], { instances: impaired }));
    expect(report).toMatch(/^controller-2 .* running, impaired$/m);
    expect(report).toMatch(/^worker-0 .* gone$/m);
    expect(report).toMatch(/^controller-2 +no +\? +\? +\? +NotReady +v1\.36\.3$/m);
    expect(report).toMatch(/^etcd +3\.6\.16, 2 of 3 members healthy, led by controller-1$/m);
  });

  it("leaves out what the stage does not include", () => {
    const report = renderReport({
      ...healthy,
      subject: { ...subject, stage: "etcd" },
      ...{ apiServers: {}, endpoint: undefined, nodes: undefined, dns: undefined },
    });
    expect(report).toMatch(/^MACHINE +SSH +ETCD$/m);
    expect(report).not.toMatch(/API|NODE|DNS/);
    expect(report).toMatch(/^stage +etcd; `make up` continues from there$/m);
  });

  it("lists faults with their remedies", () => {
    expect(formatFindings([{ fault: "worker-1 is stopped.", remedy: "Run `make up`." }])).toBe(
      "1 fault:\n  worker-1 is stopped.\n    Run `make up`.",
    );
  });
});

describe("a node", () => {
  const now = new Date("2025-11-25T20:00:00Z");
  const listed = (status: string, renewTime: string) =>
    readNodes(
      {
        items: [
          {
            metadata: { name: "worker-0" },
            status: { conditions: [{ type: "Ready", status, message: "kubelet is posting ready status" }] },
          },
        ],
      },
      { items: [{ metadata: { name: "worker-0" }, spec: { renewTime: renewTime as unknown as V1MicroTime } }] },
      now,
    )[0];

  it("is ready if it was called so and its kubelet still reports", () => {
    expect(listed("True", "2025-11-25T19:59:51.123456Z")?.isReady).toBe(true);
    expect(listed("False", "2025-11-25T19:59:51.123456Z")?.isReady).toBe(false);
  });

  it("is not ready any more if its kubelet is silent, before the control plane has noticed", () => {
    expect(listed("True", "2025-11-25T19:59:30.123456Z")).toMatchObject({
      isReady: false,
      message: "its kubelet has been silent for 30 s",
    });
  });
});

it("addresses are those of the SSH configuration", () => {
  const text = "Host controller-0\n  HostName 203.0.113.1\n  User admin\n\nHost worker-0\n  HostName 10.1.1.21\n";
  expect(addresses(text)).toEqual(
    new Map([
      ["controller-0", "203.0.113.1"],
      ["worker-0", "10.1.1.21"],
    ]),
  );
});

describe("the snapshots", () => {
  const saved = (minutes: number) => ({
    value: { ...member, snapshot: new Date(healthy.at.getTime() - minutes * 60_000) },
  });

  it("are shown by the age of the newest, and where it is", () => {
    expect(renderReport(healthy)).toMatch(/^snapshots +none yet$/m);
    const etcd = { "controller-0": saved(500), "controller-1": saved(90), "controller-2": silent };
    expect(renderReport({ ...healthy, etcd })).toMatch(/^snapshots +the newest is 90 min old, on controller-1$/m);
    expect(renderReport({ ...healthy, etcd: { "controller-0": saved(500) } })).toMatch(/8 h old, on controller-0$/m);
  });
});

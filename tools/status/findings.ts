/**
 * What is wrong, concluded from the facts, and what to do about each fault. Pure. What merely follows from another fault is
 * left out: a machine that is down is one fault, although its etcd member, its API server and its node are down as well.
 */
import { isGone } from "../recover/instance";
import type { Answer, ApiServer, ByMachine, EtcdMember, Facts, Machine, NodeStatus } from "./facts";
import { Remedies } from "./remedies";
import { includes } from "./subject";

export interface Finding {
  /** What is wrong, and with which machine. */
  readonly fault: string;
  /** What to do about it. */
  readonly remedy: string;
}

/** Everything that is wrong; nothing if the stack is healthy. */
export function findings(facts: Facts): Finding[] {
  const remedies = new Remedies(facts.subject);
  const ec2 = cloudFault(facts, remedies);
  if (ec2 && facts.subject.isLocal) return [ec2];
  const down = downMachines(facts, remedies);
  const up = facts.subject.machines.filter(({ name }) => !down.has(name));
  const found = [
    ...(ec2 ? [ec2] : []),
    ...machineFindings(facts, down, remedies),
    ...certificateFindings(facts, remedies),
  ];
  if (!canHaveQuorum(facts, up)) return found;
  return [
    ...found,
    ...etcdFindings(facts, up, remedies),
    ...apiFindings(facts, up, remedies),
    ...nodeFindings(facts, up, remedies),
    ...dnsFindings(facts, remedies),
    ...versionFindings(facts, remedies),
  ];
}

/** The findings as a text for the user. */
export function formatFindings(found: readonly Finding[]): string {
  const count = found.length === 1 ? "1 fault" : `${found.length} faults`;
  return `${count}:\n${found.map(({ fault, remedy }) => `  ${fault}\n    ${remedy}`).join("\n")}`;
}

const valueOf = <T>(answer: Answer<T> | undefined): T | undefined =>
  answer && "value" in answer ? answer.value : undefined;
const errorOf = (answer: Answer<unknown> | undefined): string | undefined =>
  answer && "error" in answer ? answer.error : undefined;
const isReady = (answer: Answer<ApiServer> | undefined): boolean => valueOf(answer)?.failing.length === 0;
const isController = ({ role }: Machine): boolean => role === "control-plane";

function cloudFault({ subject, instances }: Facts, remedies: Remedies): Finding | undefined {
  const error = errorOf(instances);
  if (error === undefined) return undefined;
  return subject.isLocal
    ? { fault: `The local cloud is not running (${error}).`, remedy: `${remedies.up} starts it, and its machines.` }
    : {
        fault: `EC2 does not report the state of the machines (${error}).`,
        remedy: "Check the credentials with `aws sts get-caller-identity`, and this machine's connection.",
      };
}

/** Each machine that is down, with its fault. */
function downMachines(facts: Facts, remedies: Remedies): Map<string, Finding> {
  return new Map(
    facts.subject.machines.flatMap((machine) => {
      const fault = instanceFault(facts, machine, remedies) ?? sshFault(facts, machine, remedies);
      return fault ? [[machine.name, fault] as const] : [];
    }),
  );
}

/** What EC2 reports about a machine. */
function instanceFault({ instances }: Facts, machine: Machine, remedies: Remedies): Finding | undefined {
  const { name, instanceId, publicIp, address } = machine;
  const all = valueOf(instances);
  if (!all) return undefined;
  const instance = all.get(instanceId);
  if (!instance || instance.state === "terminated")
    return {
      fault: `${name} is lost: its instance ${instanceId} no longer exists.`,
      remedy: `${remedies.up} replaces it.`,
    };
  if (instance.state === "stopped") return { fault: `${name} is stopped.`, remedy: remedies.start(machine) };
  if (instance.state !== "running")
    return {
      fault: `${name} is ${instance.state}.`,
      remedy: `Wait a moment, then ${remedies.up} ${isGone(instance.state) ? "replaces" : "starts"} it.`,
    };
  if (instance.isImpaired)
    return { fault: `${name} has died: EC2 reports that its status checks fail.`, remedy: remedies.reboot(machine) };
  if (address === publicIp && instance.publicIp !== publicIp)
    return {
      fault: `${name} has the public address ${instance.publicIp ?? "(none)"} now, no longer ${publicIp}.`,
      remedy: `${remedies.up} updates the stack and the SSH configuration.`,
    };
  return undefined;
}

function sshFault({ ssh }: Facts, machine: Machine, remedies: Remedies): Finding | undefined {
  const error = errorOf(ssh[machine.name]);
  if (error === undefined) return undefined;
  return {
    fault: `${machine.name} does not respond to SSH at ${machine.address} (${error}).`,
    remedy: remedies.look(machine),
  };
}

/** If EC2 reports nothing and no machine on AWS responds, the reason is probably on this side. */
function machineFindings(facts: Facts, down: ReadonlyMap<string, Finding>, remedies: Remedies): Finding[] {
  const { subject } = facts;
  const silent = subject.machines.every(
    (machine) => !instanceFault(facts, machine, remedies) && down.has(machine.name),
  );
  if (subject.isLocal || !silent || subject.machines.length === 0) return [...down.values()];
  return [
    {
      fault: "None of the machines responds to SSH, although EC2 reports that they are running.",
      remedy: `Check adminCidr: if this machine's own address has changed, set the new one, and ${remedies.up} opens the ports to it.`,
    },
  ];
}

/** Whether so many control-plane machines are up that etcd can have a quorum. Nothing else works without one. */
function canHaveQuorum({ subject }: Facts, up: readonly Machine[]): boolean {
  const total = subject.machines.filter(isController).length;
  return up.filter(isController).length > total / 2;
}

function etcdFindings({ subject, etcd }: Facts, up: readonly Machine[], remedies: Remedies): Finding[] {
  if (!includes(subject, "etcd")) return [];
  return up.filter(isController).flatMap(({ name }) => {
    const member = valueOf(etcd[name]);
    const log = remedies.restart(name, "etcd");
    if (!member) return [{ fault: `etcd on ${name} does not respond (${errorOf(etcd[name])}).`, remedy: log }];
    if (member.fault !== undefined) return [{ fault: `etcd on ${name} is unhealthy (${member.fault}).`, remedy: log }];
    if (!member.isLearner) return [];
    return [
      {
        fault: `etcd on ${name} has not become a voting member.`,
        remedy: `${remedies.up} promotes it once it has caught up.`,
      },
    ];
  });
}

function apiFindings(facts: Facts, up: readonly Machine[], remedies: Remedies): Finding[] {
  const { subject, apiServers, endpoint } = facts;
  if (!includes(subject, "control-plane")) return [];
  const found = up.filter(isController).flatMap(({ name }) => {
    const server = valueOf(apiServers[name]);
    const remedy = remedies.restart(name, "kube-apiserver");
    if (!server)
      return [{ fault: `The API server on ${name} does not respond (${errorOf(apiServers[name])}).`, remedy }];
    if (server.failing.length)
      return [{ fault: `The API server on ${name} is not ready (${server.failing.join(", ")}).`, remedy }];
    return servedCertificate(facts, name, server, remedies);
  });
  const oneIsReady = up.some(({ name }) => isReady(apiServers[name]));
  if (!oneIsReady || isReady(endpoint)) return found;
  const why = errorOf(endpoint) ?? valueOf(endpoint)?.failing.join(", ");
  const fault = `The API endpoint ${subject.apiEndpoint} does not lead to a ready API server (${why}).`;
  return [...found, { fault, remedy: remedies.endpoint() }];
}

/** Whether an API server serves the certificate that the stack has, by when it expires. */
function servedCertificate({ subject }: Facts, name: string, server: ApiServer, remedies: Remedies): Finding[] {
  const wanted = Date.parse(subject.certificates["kube-apiserver"] ?? "");
  const served = server.certificateExpiry.getTime();
  if (Number.isNaN(wanted) || Math.abs(served - wanted) < 2000) return [];
  return [
    {
      fault: `The API server on ${name} serves a certificate that expires on ${day(served)}; the stack's expires on ${day(wanted)}.`,
      remedy: remedies.restart(name, "kube-apiserver"),
    },
  ];
}

/** Nodes are listed through the endpoint, so nothing is known about them without it. */
function nodeFindings({ subject, nodes, endpoint }: Facts, up: readonly Machine[], remedies: Remedies): Finding[] {
  if (!includes(subject, "workers") || !isReady(endpoint)) return [];
  const listed = valueOf(nodes);
  if (!listed)
    return [
      {
        fault: `The nodes cannot be listed (${errorOf(nodes)}).`,
        remedy: "`kubectl get nodes` shows the API server's response.",
      },
    ];
  const expectReady = includes(subject, "network");
  return up
    .filter(({ role }) => role !== "balancer")
    .flatMap(({ name }) => {
      const node = listed.find((each) => each.name === name);
      const remedy = remedies.restart(name, "kubelet");
      if (!node) return [{ fault: `${name} is not registered as a node.`, remedy }];
      return expectReady && !node.isReady ? [{ fault: `Node ${name} is NotReady (${node.message}).`, remedy }] : [];
    });
}

function dnsFindings({ subject, dns, endpoint }: Facts, { kubectl }: Remedies): Finding[] {
  if (!includes(subject, "dns") || !isReady(endpoint)) return [];
  const remedy = `${kubectl("-n kube-system get pods -l k8s-app=kube-dns -o wide")} shows its pods.`;
  const coredns = valueOf(dns);
  if (!coredns) return [{ fault: `CoreDNS cannot be found (${errorOf(dns)}).`, remedy }];
  if (coredns.isAvailable) return [];
  const { available, replicas } = coredns;
  return [{ fault: `CoreDNS is not available (${available} of ${replicas} replicas).`, remedy }];
}

function certificateFindings({ subject, at }: Facts, remedies: Remedies): Finding[] {
  const expired = Object.entries(subject.certificates)
    .filter(([, expiry]) => Date.parse(expiry) < at.getTime())
    .map(([name]) => name);
  if (expired.length === 0) return [];
  return [
    {
      fault: `These certificates have expired: ${expired.join(", ")}.`,
      remedy: `Raise certificateEpoch by one (\`pulumi config set certificateEpoch N --stack ${subject.stack}\`), and ${remedies.up} renews all but those of the CAs.`,
    },
  ];
}

function versionFindings({ etcd, apiServers, nodes }: Facts, remedies: Remedies): Finding[] {
  return [
    ...mixed("etcd", versions(etcd), remedies),
    ...mixed("Kubernetes", [...versions(apiServers), ...(valueOf(nodes) ?? []).map(versionOf)], remedies),
  ];
}

/** A version, and where it runs. */
type Version = readonly [version: string, machine: string];
const versionOf = ({ version, name }: NodeStatus): Version => [version, name];
const versions = (answers: ByMachine<EtcdMember | ApiServer>): Version[] =>
  Object.entries(answers).flatMap(([name, answer]) => {
    const version = valueOf(answer)?.version;
    return version ? [[version, name] as const] : [];
  });

function mixed(what: string, found: readonly Version[], remedies: Remedies): Finding[] {
  const machines = new Map<string, Set<string>>();
  for (const [version, name] of found) machines.set(version, (machines.get(version) ?? new Set()).add(name));
  if (machines.size < 2) return [];
  const list = [...machines].sort().map(([version, names]) => `${version} (${[...names].join(", ")})`);
  return [
    {
      fault: `The machines run different versions of ${what}: ${list.join(", ")}.`,
      remedy: `${remedies.up} continues an upgrade that was interrupted.`,
    },
  ];
}

const day = (time: number): string => new Date(time).toISOString().slice(0, 10);

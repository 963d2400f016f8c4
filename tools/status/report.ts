/** The screen of `make status`. Pure. */
import { expiryWarningDays } from "../../cluster/validity";
import { stages } from "../../cluster/shape";
import { formatTable } from "../../lib/table";
import type { Answer, EtcdMember, Facts, Machine } from "./facts";
import { Remedies } from "./remedies";
import { includes } from "./subject";

export const renderReport = (facts: Facts): string =>
  [machineTable(facts), partTable(facts), summary(facts)].map(formatTable).join("\n\n");

/** What a cell shows of an answer: "-" where nothing was asked, "?" where nothing responded. */
const cell = <T>(answer: Answer<T> | undefined, show: (value: T) => string): string =>
  answer === undefined ? "-" : "value" in answer ? show(answer.value) : "?";

function machineTable({ subject, instances }: Facts): string[][] {
  const stateOf = ({ instanceId }: Machine): string =>
    cell(instances, (all) => {
      const instance = all.get(instanceId);
      return instance ? `${instance.state}${instance.isImpaired ? ", impaired" : ""}` : "gone";
    });
  return [
    ["MACHINE", "ROLE", "PRIVATE IP", "PUBLIC IP", "ZONE", "INSTANCE", "STATE"],
    ...subject.machines.map((machine) => {
      const { name, role, privateIp, zone, instanceId } = machine;
      const publicIp = cell(instances, (all) => all.get(instanceId)?.publicIp ?? "-");
      return [name, role, privateIp, publicIp, zone, instanceId, stateOf(machine)];
    }),
  ];
}

/** A column: its heading, and the cell of a machine. */
type Column = readonly [heading: string, cell: (machine: Machine) => string];

function partTable({ subject, ssh, etcd, apiServers, nodes }: Facts): string[][] {
  const node = ({ name, role }: Machine) =>
    role === "balancer"
      ? undefined
      : nodes && "value" in nodes
        ? { value: nodes.value.find((each) => each.name === name) }
        : nodes;
  const columns: Column[] = [
    ["MACHINE", ({ name }) => name],
    ["SSH", ({ name }) => (ssh[name] && "value" in ssh[name] ? "ok" : "no")],
  ];
  if (includes(subject, "etcd")) columns.push(["ETCD", ({ name }) => cell(etcd[name], role)]);
  if (includes(subject, "control-plane"))
    columns.push(
      ["API SERVER", ({ name }) => cell(apiServers[name], ({ failing }) => (failing.length ? "not ready" : "ready"))],
      ["CERTIFICATE", ({ name }) => cell(apiServers[name], ({ certificateExpiry }) => day(certificateExpiry))],
    );
  if (includes(subject, "workers"))
    columns.push(
      ["NODE", (machine) => cell(node(machine), (it) => (it ? (it.isReady ? "Ready" : "NotReady") : "none"))],
      ["VERSION", (machine) => cell(node(machine), (it) => it?.version ?? "-")],
    );
  return [
    columns.map(([heading]) => heading),
    ...subject.machines.map((machine) => columns.map(([, show]) => show(machine))),
  ];
}

/** A member's part in etcd. */
const role = ({ fault, isLeader, isLearner }: EtcdMember): string =>
  fault !== undefined ? "unhealthy" : isLeader ? "leader" : isLearner ? "learner" : "follower";

function summary(facts: Facts): string[][] {
  const { subject, endpoint, dns, at } = facts;
  const { stage } = subject;
  const rows: string[][] = [];
  if (includes(subject, "etcd")) rows.push(["etcd", etcdLine(facts)], ["snapshots", snapshotLine(facts)]);
  if (endpoint) {
    const state = "error" in endpoint ? endpoint.error : endpoint.value.failing.length ? "not ready" : "ready";
    rows.push(["API endpoint", `${subject.apiEndpoint} (${state})`]);
  }
  if (endpoint) rows.push(["kubeconfig", subject.kubeconfig]);
  if (dns)
    rows.push([
      "DNS",
      "error" in dns
        ? `CoreDNS: ${dns.error}`
        : `CoreDNS is ${dns.value.isAvailable ? "" : "not "}available, ${dns.value.available} of ${dns.value.replicas} replicas`,
    ]);
  rows.push(["certificates", certificatesLine(subject.certificates, at)]);
  const continues = stage === stages.at(-1) ? "" : `; ${new Remedies(subject).up} continues from there`;
  rows.push(["stage", stage + continues]);
  return rows;
}

function etcdLine({ etcd }: Facts): string {
  const answers = Object.entries(etcd);
  const members = answers.flatMap(([name, answer]) => ("value" in answer ? [{ name, ...answer.value }] : []));
  const versions = [...new Set(members.map(({ version }) => version))].join(", ") || "no version known";
  const leader = members.find(({ isLeader, fault }) => isLeader && fault === undefined)?.name;
  const healthy = members.filter(({ fault }) => fault === undefined).length;
  return `${versions}, ${healthy} of ${answers.length} members healthy, ${leader ? `led by ${leader}` : "no leader known"}`;
}

/** How old the newest snapshot on a control-plane machine is. */
function snapshotLine({ etcd, at }: Facts): string {
  const saved = Object.entries(etcd)
    .flatMap(([name, answer]) =>
      "value" in answer && answer.value.snapshot ? [{ name, at: answer.value.snapshot }] : [],
    )
    .sort((a, b) => b.at.getTime() - a.at.getTime());
  const newest = saved[0];
  if (!newest) return "none yet";
  const minutes = Math.max(0, Math.round((at.getTime() - newest.at.getTime()) / 60_000));
  const age = minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
  return `the newest is ${age} old, on ${newest.name}`;
}

const msPerDay = 24 * 3_600_000;

/** How many certificates there are, and which expire first. */
function certificatesLine(certificates: Readonly<Record<string, string>>, at: Date): string {
  const days = Object.entries(certificates)
    .map(([name, expiry]) => ({
      name,
      expiry: day(new Date(expiry)),
      left: Math.floor((Date.parse(expiry) - at.getTime()) / msPerDay),
    }))
    .sort((a, b) => a.left - b.left);
  const first = days[0];
  if (!first) return "none";
  const names = days.filter(({ expiry }) => expiry === first.expiry).map(({ name }) => name);
  const listed = names.length > 3 ? `${names.slice(0, 2).join(", ")} and ${names.length - 2} others` : names.join(", ");
  const renew = first.left < expiryWarningDays ? "; raise certificateEpoch by one to renew them" : "";
  return `${days.length}, the first to expire on ${first.expiry} (in ${first.left} days): ${listed}${renew}`;
}

const day = (date: Date): string => date.toISOString().slice(0, 10);

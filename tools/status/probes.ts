/** Asks every part of a stack how it is, all at the same time and each for a few seconds at most. */
import { clientsOf, describeInstances } from "../recover/cloud";
import type { Stack } from "../stack";
import { answer } from "./answer";
import { askApiServer, askDns, askNodes, readCredentials } from "./api";
import type { Answer, ByMachine, Facts, Machine, Subject } from "./facts";
import { askEtcd, askSsh } from "./machine";
import { includes } from "./subject";

/** Seconds for which a part may take to answer. */
const patience = 5;
const ask = <T>(question: (signal: AbortSignal) => Promise<T>): Promise<Answer<T>> => answer(patience, question);

export async function gatherFacts(stack: Stack, subject: Subject, kubeconfig: string): Promise<Facts> {
  const credentials = readCredentials(kubeconfig);
  const endpoint = { url: subject.apiEndpoint, credentials };
  const controllers = subject.machines.filter(({ role }) => role === "control-plane");
  const withEtcd = includes(subject, "etcd") ? controllers : [];
  const withApi = includes(subject, "control-plane") ? controllers : [];
  const [instances, ssh, etcd, apiServers, behindEndpoint, nodes, dns] = await Promise.all([
    ask((signal) => describeInstances(clientsOf(stack), signal)),
    ofEach(subject.machines, ({ address }, signal) => askSsh(address, signal)),
    ofEach(withEtcd, ({ name }, signal) => askEtcd(subject.sshConfig, name, signal)),
    ofEach(withApi, ({ name, address }, signal) =>
      askApiServer({ url: `https://${address}:6443`, name, credentials }, signal),
    ),
    includes(subject, "control-plane") ? ask((signal) => askApiServer(endpoint, signal)) : undefined,
    includes(subject, "workers") ? ask((signal) => askNodes(endpoint, signal)) : undefined,
    includes(subject, "dns") ? ask((signal) => askDns(endpoint, signal)) : undefined,
  ]);
  return { subject, at: new Date(), instances, ssh, etcd, apiServers, endpoint: behindEndpoint, nodes, dns };
}

/** Asks each machine. */
async function ofEach<T>(
  machines: readonly Machine[],
  question: (machine: Machine, signal: AbortSignal) => Promise<T>,
): Promise<ByMachine<T>> {
  const answers = await Promise.all(
    machines.map(async (machine) => [machine.name, await ask((signal) => question(machine, signal))] as const),
  );
  return Object.fromEntries(answers);
}

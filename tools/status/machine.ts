/** What is asked of a machine itself: whether its SSH server responds, and how its etcd member is. */
import { once } from "node:events";
import { connect } from "node:net";
import { libraryDirectory } from "../../bootstrap/places";
import { tryRun } from "../../lib/run";
import type { EtcdMember } from "./facts";

/** The greeting of the SSH server at an address. It takes no login, and no process on the machine beyond sshd's own. */
export async function askSsh(address: string, signal: AbortSignal): Promise<string> {
  const socket = connect({ host: address, port: 22, signal });
  try {
    const [greeting] = (await once(socket, "data", { signal })) as [Buffer];
    return greeting.toString().trim();
  } finally {
    socket.destroy();
  }
}

/**
 * How old the newest snapshot is, and both questions to the member on the machine itself, with the machine's own certificate, as the bootstrap asks them. Only the
 * second needs a quorum.
 */
const etcdQuestions = `sudo bash -c '. ${libraryDirectory}/cluster.sh
ask() { etcdctl --endpoints https://127.0.0.1:2379 --command-timeout 3s endpoint "$1" --write-out json 2>/dev/null; }
ask status & ask health & wait
stat --format "snapshot %Y" /var/lib/kubernetes-from-scratch/snapshots/*.db 2>/dev/null | sort | tail -n 1'`;

/** @param sshConfig path of the stack's ssh_config. */
export async function askEtcd(sshConfig: string, machine: string, signal: AbortSignal): Promise<EtcdMember> {
  const options = ["-F", sshConfig, "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"];
  const { exitCode, stdout, stderr } = await tryRun("ssh", [...options, machine, etcdQuestions], { signal });
  if (exitCode !== 0) throw new Error(stderr.trim().split("\n").at(-1) || `ssh exited with ${exitCode}`);
  return readMember(stdout);
}

interface Status {
  readonly header: { readonly member_id: number };
  readonly version: string;
  readonly leader: number;
  readonly isLearner?: boolean;
}

/** Reads etcdctl's responses, a line of JSON each. @throws Error if the member has not responded. Pure. */
export function readMember(output: string): EtcdMember {
  const lines = output.split("\n").filter((line) => line.startsWith("["));
  const answers = lines.flatMap((line) => JSON.parse(line) as { Status?: Status; health?: boolean; error?: string }[]);
  const status = answers.find((answer) => answer.Status)?.Status;
  const health = answers.find((answer) => answer.health !== undefined);
  const [, saved] = /^snapshot (\d+)$/m.exec(output) ?? [];
  if (!status) throw new Error(health?.error ?? "etcdctl reports nothing");
  return {
    ...(health?.health ? {} : { fault: health?.error ?? "its health is unknown" }),
    version: status.version,
    isLeader: status.leader === status.header.member_id,
    isLearner: status.isLearner ?? false,
    ...(saved === undefined ? {} : { snapshot: new Date(Number(saved) * 1000) }),
  };
}

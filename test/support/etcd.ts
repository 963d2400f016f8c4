/** The state of a control plane: etcd's members and leader, and whether everything is healthy. */
import { expect } from "vitest";
import { eventually, type TestCluster } from "./cluster";

const pair = "--cacert=/etc/etcd/etcd-ca.pem --cert=/etc/etcd/etcd.pem --key=/etc/etcd/etcd-key.pem";
/** etcdctl on a control-plane machine, with that machine's own certificate. */
export const etcdctl = `sudo etcdctl --endpoints=https://127.0.0.1:2379 ${pair}`;

/** A member of etcd as `etcdctl endpoint status --cluster` reports it. */
export interface Member {
  readonly name: string;
  readonly leader: boolean;
  readonly learner: boolean;
}

/** The members of etcd that respond, as seen from one machine. */
export async function members(cluster: TestCluster, from: string): Promise<Member[]> {
  const [list, status] = await Promise.all([
    cluster.ssh(from, `${etcdctl} member list -w json`),
    cluster.ssh(from, `${etcdctl} endpoint status --cluster -w json 2>/dev/null || true`),
  ]);
  const names = new Map(
    (JSON.parse(list) as { members: { ID: number; name: string; isLearner?: boolean }[] }).members.map((member) => [
      String(member.ID),
      member,
    ]),
  );
  type Status = { Status: { header: { member_id: number }; leader: number } };
  return (JSON.parse(status || "[]") as Status[]).map(({ Status }) => {
    const member = names.get(String(Status.header.member_id));
    return {
      name: member?.name ?? "?",
      leader: Status.leader === Status.header.member_id,
      learner: member?.isLearner ?? false,
    };
  });
}

/** The machine whose etcd member is the leader. */
export async function leader(cluster: TestCluster, from = "controller-0"): Promise<string> {
  const found = (await members(cluster, from)).find((member) => member.leader);
  if (!found) throw new Error("etcd has no leader");
  return found.name.replace(/^etcd-(\d)$/, "controller-$1");
}

/** Waits until every member votes and every API server is ready. */
export async function healthy(cluster: TestCluster, count = 3, seconds = 120): Promise<void> {
  const controllers = Array.from({ length: count }, (_, index) => `controller-${index}`);
  for (const controller of controllers)
    await eventually(`${controller} to be healthy`, seconds, async () => {
      const ready = "curl -sf --cacert /etc/kubernetes/pki/kubernetes-ca.pem https://127.0.0.1:6443/readyz";
      const result = await cluster.trySsh(controller, `${etcdctl} endpoint health 2>&1 && sudo ${ready}`);
      return result.exitCode === 0 ? { done: undefined } : { saw: result.all };
    });
  expect((await members(cluster, "controller-0")).filter((member) => !member.learner)).toHaveLength(count);
}

/** Makes the member on a machine the leader. */
export async function leadBy(cluster: TestCluster, machine: string): Promise<void> {
  const now = await leader(cluster);
  if (now === machine) return;
  const list = await cluster.ssh(now, `${etcdctl} member list`);
  const id = list
    .split("\n")
    .find((line) => line.includes(`, ${machine}, `))
    ?.split(",")[0];
  await cluster.ssh(now, `${etcdctl} move-leader ${id}`);
  expect(await leader(cluster)).toBe(machine);
}

/** When a unit was last started on each of three control-plane machines, in seconds since 1970. */
export const startsOf = (cluster: TestCluster, unit: string): Promise<string[]> =>
  Promise.all(
    ["controller-0", "controller-1", "controller-2"].map((controller) =>
      cluster.ssh(controller, `date -d "$(systemctl show -p ActiveEnterTimestamp --value ${unit})" +%s`),
    ),
  );

/** Failures of a highly available cluster, each as one function: break, watch, mend, and the figures. */
import { expect } from "vitest";
import { join } from "node:path";
import { stackDir } from "../../tools/places";
import { eventually, type Lab } from "./lab";
import { Writer, type WriterReport } from "./writer";

const etcdctl =
  "sudo etcdctl --cacert=/etc/etcd/etcd-ca.pem --cert=/etc/etcd/etcd.pem --key=/etc/etcd/etcd-key.pem --endpoints=https://127.0.0.1:2379";

/** A member of etcd as `etcdctl endpoint status --cluster` tells it. */
export interface Member {
  readonly name: string;
  readonly leader: boolean;
  readonly learner: boolean;
}

/** Members of etcd that answer, asked on one machine. */
export async function members(lab: Lab, from: string): Promise<Member[]> {
  const [list, status] = await Promise.all([
    lab.ssh(from, `${etcdctl} member list -w json`),
    lab.ssh(from, `${etcdctl} endpoint status --cluster -w json 2>/dev/null || true`),
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

/** Name of the machine whose etcd member leads. */
export async function leader(lab: Lab, from = "controller-0"): Promise<string> {
  const found = (await members(lab, from)).find((member) => member.leader);
  if (!found) throw new Error("etcd has no leader");
  return found.name.replace(/^etcd-(\d)$/, "controller-$1");
}

/** Waits until all three members vote and every API server is ready. */
export async function healthy(lab: Lab, count = 3, seconds = 120): Promise<void> {
  const controllers = Array.from({ length: count }, (_, index) => `controller-${index}`);
  for (const controller of controllers)
    await eventually(`${controller} healthy`, seconds, async () => {
      const result = await lab.trySsh(
        controller,
        `${etcdctl} endpoint health 2>&1 && sudo curl -sf --cacert /etc/kubernetes/pki/kubernetes-ca.pem https://127.0.0.1:6443/readyz`,
      );
      return result.exitCode === 0 ? { done: undefined } : { saw: result.all };
    });
  expect((await members(lab, "controller-0")).filter((member) => !member.learner)).toHaveLength(count);
}

/** Runs something while a client writes and reads through the API endpoint. */
export async function whileWriting(lab: Lab, disturb: (writer: Writer) => Promise<void>): Promise<WriterReport> {
  await lab.tryKubectl("create", "namespace", "writes");
  const writer = new Writer(join(stackDir(lab.at.stack), "kubeconfig"), "writes", 60);
  writer.start();
  await until(writer, 10);
  let report: WriterReport;
  try {
    await disturb(writer);
    await until(writer, writer.count + 10);
  } finally {
    report = await writer.stop();
    await lab.tryKubectl("delete", "namespace", "writes", "--wait=false");
    await lab.kubectl("wait", "--for=delete", "namespace/writes", "--timeout=120s").catch(() => undefined);
  }
  return report;
}

/** Waits until the client has had this many writes acknowledged. */
export async function until(writer: Writer, count: number, seconds = 120): Promise<void> {
  await eventually(`${count} acknowledged writes`, seconds, async () =>
    Promise.resolve(writer.count >= count ? { done: undefined } : { saw: String(writer.count) }),
  );
}

/** A failure: what is done to the cluster while the client writes. */
export interface Failure {
  readonly name: string;
  readonly run: (lab: Lab) => Promise<WriterReport>;
}

export const failures: readonly Failure[] = [
  {
    name: "SIGKILL of the etcd leader",
    run: async (lab) => {
      const target = await leader(lab);
      return whileWriting(lab, async () => {
        await lab.ssh(target, "sudo systemctl kill --signal=KILL etcd");
        await healthy(lab);
      });
    },
  },
  {
    name: "SIGKILL of an API server",
    run: (lab) =>
      whileWriting(lab, async () => {
        await lab.ssh("controller-1", "sudo systemctl kill --signal=KILL kube-apiserver");
        await healthy(lab);
      }),
  },
  {
    name: "a whole control-plane machine killed, then started again",
    run: async (lab) => {
      const target = await leader(lab);
      return whileWriting(lab, async (writer) => {
        await lab.cloud("kill", target);
        await until(writer, writer.count + 20);
        await lab.cloud("start", target);
        await healthy(lab);
      });
    },
  },
  {
    name: "two of three control-plane machines killed, then started again",
    run: (lab) =>
      whileWriting(lab, async (writer) => {
        await Promise.all(["controller-1", "controller-2"].map((name) => lab.cloud("kill", name)));
        await new Promise((resolve) => setTimeout(resolve, 5000));
        const stalled = writer.count;
        await new Promise((resolve) => setTimeout(resolve, 8000));
        expect(writer.count, "writes stop without a quorum").toBeLessThanOrEqual(stalled);
        const why = await lab.trySsh(
          "controller-0",
          `${etcdctl} get /registry/namespaces/default --command-timeout=3s 2>&1`,
        );
        expect(why.all).toMatch(/deadline exceeded|no leader|leader/i);
        await Promise.all(["controller-1", "controller-2"].map((name) => lab.cloud("start", name)));
        await healthy(lab);
      }),
  },
  {
    name: "network partition of one control-plane machine",
    run: async (lab) => {
      const target = await leader(lab);
      return whileWriting(lab, async (writer) => {
        await lab.cloud("partition", target);
        await until(writer, writer.count + 20);
        await lab.cloud("heal", target);
        await healthy(lab);
      });
    },
  },
  {
    name: "a control-plane machine rebooted",
    run: (lab) =>
      whileWriting(lab, async () => {
        await lab.cloud("reboot", "controller-0");
        await healthy(lab);
      }),
  },
  {
    name: "a control-plane machine's disk full",
    run: (lab) =>
      whileWriting(lab, async (writer) => {
        await lab.ssh(
          "controller-2",
          "sudo mount -t tmpfs -o size=1m full /var/log/kubernetes/audit && sudo sh -c 'cat /dev/zero > /var/log/kubernetes/audit/fill || true'",
        );
        await until(writer, writer.count + 40);
        await lab.ssh("controller-2", "sudo umount /var/log/kubernetes/audit");
        await healthy(lab);
      }),
  },
  {
    name: "a control-plane machine lost for good, replaced by `make up`",
    run: (lab) =>
      whileWriting(lab, async () => {
        await lab.cloud("terminate", "controller-1");
        await lab.make("refresh");
        await lab.make("up");
        await healthy(lab);
      }),
  },
];

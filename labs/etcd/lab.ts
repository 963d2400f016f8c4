/** etcd: its members and quorum, and how it stores an API object. */
import { quote } from "../../lib/quote";
import type { Bench } from "../framework/bench";
import { type Etcd, etcdctl, registryKey } from "../framework/etcd";
import { atLeast, such } from "../framework/expectation";
import type { Lab } from "../framework/lab";

interface Member {
  readonly name: string;
  readonly isLearner?: boolean;
  readonly clientURLs: readonly string[];
}
/** Member ids are too large for an exact JSON number; they are only compared with each other. */
interface EndpointStatus {
  readonly Endpoint: string;
  readonly Status: {
    readonly header: { readonly member_id: number; readonly raft_term: number };
    readonly leader: number;
    readonly version: string;
  };
}

const members = async (etcd: Etcd): Promise<readonly Member[]> =>
  (await etcd.json<{ members: Member[] }>("member list -w json")).members;
const quorum = (count: number): number => Math.floor(count / 2) + 1;

async function experiment(bench: Bench): Promise<void> {
  const { etcd, nodes } = bench;
  const list = await bench.baseline("the members", () => members(etcd));
  const statuses = await bench.observe("what each member reports", () =>
    etcd.json<EndpointStatus[]>("endpoint status --cluster -w json"),
  );
  bench.claim(
    "one member on each control-plane machine",
    list.map((m) => m.name).sort(),
    [...nodes.controllers].sort(),
  );
  bench.claim("all can vote: none is a learner", list.filter((m) => m.isLearner).length, 0);
  bench.claim("all agree on one leader", new Set(statuses.map((s) => s.Status.leader)).size, 1);
  bench.claim(
    "the leader is one of the members",
    statuses.some((s) => s.Status.header.member_id === s.Status.leader),
    true,
  );
  bench.claim("all are in the same term", new Set(statuses.map((s) => s.Status.header.raft_term)).size, 1);
  bench.keep("quorum", {
    members: list.length,
    quorum: quorum(list.length),
    mayFail: list.length - quorum(list.length),
  });
  bench.keep("version", statuses[0]?.Status.version);

  await keys(bench);
  if (list.length >= 3) await loss(bench, statuses);
}

/** One key per object; its revision is the object's resourceVersion. */
async function keys(bench: Bench): Promise<void> {
  const { api, etcd, namespace } = bench;
  const key = registryKey("configmaps", namespace, "notes");
  const made = await bench.disturb("an object is created", () =>
    bench.create<"ConfigMap">({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "notes" },
      data: { text: "first" },
    }),
  );
  const first = await bench.observe("its key", () => etcd.get(key));
  bench.claim("the key consists of kind, namespace and name", first?.key, key);
  bench.claim(
    "etcd's revision is the object's resourceVersion",
    String(first?.modRevision),
    made.metadata.resourceVersion,
  );
  bench.claim("it has been written once", first?.version, 1);

  const changed = await bench.disturb("it is changed", () =>
    api.patch("ConfigMap", "notes", namespace, { data: { text: "second" } }),
  );
  const second = await bench.observe("the same key", () => etcd.get(key));
  bench.claim("it has been written twice", second?.version, 2);
  bench.claim("its creation revision stays the same", second?.createRevision, first?.createRevision);
  bench.claim(
    "the revision counts all writes in the cluster, so it grew by at least one",
    (second?.modRevision ?? 0) - (first?.modRevision ?? 0),
    atLeast(1),
  );
  bench.claim("and it is the new resourceVersion", String(second?.modRevision), changed.metadata.resourceVersion);
  const past = await etcd.json<{ kvs?: { value: string }[] }>(`get ${quote(key)} --rev=${first?.modRevision} -w json`);
  const then = Buffer.from(past.kvs?.[0]?.value ?? "", "base64").toString("latin1");
  bench.claim(
    "the past can still be read, which is how a watch resumes",
    [then.includes("first"), then.includes("second")],
    [true, false],
  );

  const [inEtcd, inApi] = await bench.observe("all ConfigMaps of the namespace", async () => [
    await etcd.keys(`/registry/configmaps/${namespace}/`),
    (await api.list("ConfigMap", { namespace })).map((m) => registryKey("configmaps", namespace, m.metadata.name)),
  ]);
  bench.claim("the keys match the objects, name by name", inEtcd, inApi ?? []);
  await bench.disturb("it is deleted", () => api.delete("ConfigMap", "notes", namespace));
  bench.claim("the key is gone", await etcd.get(key), undefined);
  const everything = (await etcd.keys("/registry/")).length;
  bench.keep("number of keys", everything);
  bench.claim("the whole state of the cluster is under /registry", everything, atLeast(100));
}

/** Three members tolerate the loss of one, not of two. */
async function loss(bench: Bench, statuses: readonly EndpointStatus[]): Promise<void> {
  const { etcd, nodes } = bench;
  const list = await members(etcd);
  const leader =
    list.find((m) =>
      statuses.some((s) => s.Status.header.member_id === s.Status.leader && m.clientURLs.includes(s.Endpoint)),
    )?.name ?? "";
  const others = nodes.controllers.filter((name) => name !== etcd.member);
  const write = async (): Promise<boolean> => {
    const probe = etcdctl("--command-timeout=3s put /lab/quorum probe");
    return (await nodes.run(etcd.member, `${probe} && ${etcdctl("del /lab/quorum")}`)).exitCode === 0;
  };
  const stop = (name: string) =>
    bench.onNode(name, `etcd on ${name}`, { change: "systemctl stop etcd", undo: "systemctl start etcd" });

  const victim = others.find((name) => name === leader) ?? others[0]!;
  await bench.disturb(`the member on ${victim} stops${victim === leader ? " (it was the leader)" : ""}`, () =>
    stop(victim),
  );
  const wrote = await bench.observe("writing with two members of three", () =>
    bench.until("a write to succeed", write, (ok) => ok, 20),
  );
  bench.claim("a majority is enough", wrote, true);
  const second = others.find((name) => name !== victim)!;
  await bench.disturb(`the member on ${second} stops as well`, () => stop(second));
  bench.claim("one member of three cannot write", await write(), false);
  await bench.disturb("one comes back", () => bench.takeBack());
  bench.claim("writes succeed again", await bench.until("a write to succeed", write, (ok) => ok, 30), true);
  await bench.disturb("the other comes back", () => bench.takeBack());
  const after = await bench.observe("all members healthy", () =>
    bench.until(
      "three members in one term",
      () => etcd.json<EndpointStatus[]>("endpoint status --cluster -w json"),
      (s) => s.length === 3,
      30,
    ),
  );
  bench.claim(
    "all agree on one leader again",
    after,
    such("one leader", (s) => new Set(s.map((x) => x.Status.leader)).size === 1),
  );
}

export default {
  name: "etcd",
  title: "etcd: members, quorum and keys",
  part: "I–III · The cluster by hand",
  hypothesis:
    "Everything the API knows is a key under /registry in etcd. An object's resourceVersion is the revision of its last write there, and a write counts once a majority of the members has it.",
  needs: ["nodes"],
  experiment,
} satisfies Lab;

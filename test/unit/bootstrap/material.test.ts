/** Key material: what steps ask for exists, in the types, in the table, and in the by-hand transcript. */
import { describe, expect, it } from "vitest";
import { transcript } from "../../../bootstrap/by-hand";
import { pkiFile, pkiPair } from "../../../bootstrap/files";
import { steps } from "../../../bootstrap/steps";
import { authorities } from "../../../cluster/certificates";
import { type Material, type MaterialKey, materials } from "../../../cluster/material";
import type { ClusterSpec } from "../../../cluster/spec";
import { spec } from "../../support/spec";

/** Keys that an entry of the table provides. */
function keysOf(material: Material): MaterialKey[] {
  switch (material.kind) {
    case "authority":
      return [`${material.name}/cert`];
    case "signing-authority":
      return ["cluster-signing/cert", "cluster-signing/key"];
    case "leaf":
      return [`${material.leaf.name}/cert`, `${material.leaf.name}/key`];
    case "key-pair":
      return [`${material.name}/key`, `${material.name}/public`];
    default:
      return [material.key];
  }
}

const asked = (cluster: ClusterSpec): MaterialKey[] =>
  steps(cluster).flatMap(({ secrets }) => secrets.map(({ source }) => source));

const shapes: [string, ClusterSpec][] = [
  ["one control-plane node", spec()],
  ["three behind a load balancer", spec({ controlPlaneCount: 3, zones: 3 })],
  ["three behind HAProxy", spec({ controlPlaneCount: 3, apiEndpoint: "haproxy" })],
];

describe.each(shapes)("a cluster with %s", (_, cluster) => {
  it("has a table with each key once, which provides everything that steps ask for", () => {
    const keys = materials(cluster).flatMap(keysOf);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys).toEqual(expect.arrayContaining(asked(cluster)));
  });

  it("lists what is made from something after it", () => {
    const known = new Set<string>(authorities.map((name) => `${name}/key`));
    for (const material of materials(cluster)) {
      if (material.kind === "bundle") for (const key of material.of) expect(known).toContain(key);
      if (material.kind === "kubeconfig") expect(known).toContain(`${material.pair}/cert`);
      for (const key of keysOf(material)) known.add(key);
    }
  });

  it("can be built by hand from the same keys", () => {
    const text = transcript(cluster);
    for (const key of asked(cluster)) expect(text).toMatch(new RegExp(`^ {2}file \\S+ \\d+ \\S+ ${key}$`, "m"));
    for (const { machine } of steps(cluster))
      expect(text).toContain(`query ${machine.name} availability_zone >pki/instance/${machine.name}/zone`);
  });
});

it("makes a key that does not exist a compile error", () => {
  // @ts-expect-error: the API server's pair is shared, no machine has its own
  expect(pkiFile("kube-apiserver", "kube-apiserver/controller-0/cert")).toBeDefined();
  // @ts-expect-error: no machine gets the key of a root CA
  expect(pkiFile("kubernetes-ca-key", "kubernetes-ca/key")).toBeDefined();
  // @ts-expect-error: workers have no etcd member
  expect(pkiPair("etcd", "etcd/worker-0")).toHaveLength(2);
  expect(pkiPair("etcd", "etcd/controller-0")).toHaveLength(2);
});

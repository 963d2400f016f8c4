/** The cluster that a test file needs. It is built before the first test and destroyed after the last. */
import { afterAll, beforeAll } from "vitest";
import { TestCluster } from "./cluster";

/** The shape of that cluster. */
export interface Needs {
  /** The stack whose configuration it starts from. */
  readonly preset: "local" | "local-ha";
  /** Configuration values on top of the preset; keys without the namespace, undefined removes one. */
  readonly values?: Readonly<Record<string, unknown>>;
  /** Arguments for `make up` before the first test; false leaves that to the tests. */
  readonly up?: readonly string[] | false;
}

/** Each cluster has its own cloud, EC2 API port and /16, so that several, and a user's, can run at the same time. */
export const places = {
  single: { port: 5011, network: "10.2" },
  ha: { port: 5012, network: "10.5" }, // a second stack on this cloud has 10.14
  interrupt: { port: 5013, network: "10.6" },
  failures: { port: 5014, network: "10.7" },
  "by-hand": { port: 5015, network: "10.8" },
  series: { port: 5016, network: "10.9" },
  upgrade: { port: 5017, network: "10.11" },
  workers: { port: 5018, network: "10.12" },
  downloads: { port: 5019, network: "10.13" },
  moved: { port: 5026, network: "10.27" },
  turns: { port: 5025, network: "10.25" }, // a second stack on this cloud has 10.26
  down: { port: 5029, network: "10.29" },
  network: { port: 5023, network: "10.18" },
  dns: { port: 5024, network: "10.19" },
  conformance: { port: 5031, network: "10.31" },
  keys: { port: 5022, network: "10.17" },
  encryption: { port: 5021, network: "10.16" },
  data: { port: 5020, network: "10.15" },
  "instance-types": { port: 5030, network: "10.30" },
} as const;

/** Registers the hooks that build and destroy the cluster. */
export function clusterFor(name: keyof typeof places, { preset, values, up = [] }: Needs): TestCluster {
  const cluster = new TestCluster({ stack: `test-${name}`, cloud: `test-${name}`, ...places[name] }, preset, values);
  if (up)
    beforeAll(async () => {
      await cluster.make`up ${up}`;
    });
  afterAll(() => cluster.destroy());
  return cluster;
}

/** The list of steps as data: order, stages, files, secrets. */
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { ClusterSpec } from "../../../cluster/spec";
import type { Step } from "../../../bootstrap/step";
import { definitions, steps } from "../../../bootstrap/steps";
import { kubeletConfig } from "../../../bootstrap/steps/kubelet";
import { spec } from "../../support/spec";

const single = spec();
const ha = spec({ controlPlaneCount: 3, zones: 3 });
const series = spec({ controlPlaneCount: 3, zones: 1, apiEndpoint: "haproxy" });

const find = (cluster: ClusterSpec, id: string): Step => {
  const step = steps(cluster).find((candidate) => candidate.id === id);
  if (!step) throw new Error(`no step ${id}`);
  return step;
};
const file = (step: Step, path: string): string => {
  const found = step.files.find((candidate) => candidate.path === path);
  if (!found) throw new Error(`${step.id} has no file ${path}`);
  return found.content;
};

describe("the list of steps", () => {
  for (const [name, cluster] of Object.entries({ single, ha, series })) {
    it(`of ${name} contains each step once, with only earlier steps in after`, () => {
      const seen = new Set<string>();
      for (const step of steps(cluster)) {
        expect(seen).not.toContain(step.id);
        for (const id of step.after) expect(seen).toContain(id);
        seen.add(step.id);
      }
    });

    it(`of ${name} has at most six steps per machine, not counting those done once for the cluster`, () => {
      const each = definitions(cluster).filter(({ on }) => !on.once);
      for (const machine of cluster.machines) {
        const own = each.flatMap((step) => step.steps(cluster)).filter((step) => step.machine.name === machine.name);
        expect(own.length).toBeLessThanOrEqual(6);
      }
    });
  }

  it.each([
    ["machines", ["machine", "container-runtime"]],
    ["etcd", ["machine", "container-runtime", "etcd", "departures"]],
    ["control-plane", ["machine", "container-runtime", "etcd", "control-plane", "rbac", "departures"]],
  ])("stops after the stage %s", (stage, names) => {
    const made = steps(spec({ stage }));
    expect([...new Set(made.map((step) => step.name))]).toEqual(names);
    const ids = made.map(({ id }) => id);
    for (const step of made) for (const id of step.after) expect(ids).toContain(id);
  });

  it("expects nodes to be NotReady before the pod network, and Ready after it", () => {
    expect(find(spec({ stage: "workers" }), "nodes@controller-0").variables["NETWORK"]).toBe("no");
    expect(find(spec({ stage: "network" }), "nodes@controller-0").variables["NETWORK"]).toBe("yes");
  });

  it("lets etcd members depart without an API server, if the stage does not have one", () => {
    const departures = find(spec({ stage: "etcd" }), "departures@controller-0");
    expect(departures.variables["API"]).toBe("no");
    expect(departures.secrets).toEqual([]);
  });

  it("starts the members of etcd in parallel", () => {
    for (const machine of ha.controllers) {
      expect(find(ha, `etcd@${machine.name}`).after).toEqual([`machine@${machine.name}`]);
    }
  });

  it("changes only the nodes, and the number of CoreDNS pods, when the number of workers changes", () => {
    const changed = (from: number, to: number): string[] => {
      const [former, later] = [from, to].map((workerCount) =>
        steps(spec({ workerCount })).map((step) => ({ ...step, after: [] })),
      );
      return (former ?? [])
        .filter((step) => JSON.stringify(step) !== JSON.stringify(later?.find((other) => other.id === step.id)))
        .map(({ id }) => id);
    };
    expect(changed(2, 5).sort()).toEqual(["dns@controller-0", "nodes@controller-0"]);
    expect(changed(1, 2)).toEqual(["nodes@controller-0"]);
    expect(changed(10, 20)).toEqual(["nodes@controller-0"]);
  });

  it("does not change etcd's unit when members join, because only an empty member reads initial-cluster", () => {
    const unit = "/etc/systemd/system/etcd.service";
    expect(file(find(ha, "etcd@controller-0"), unit)).toBe(file(find(spec({ zones: 3 }), "etcd@controller-0"), unit));
    expect(file(find(ha, "etcd@controller-0"), unit)).not.toContain("initial-cluster=");
  });
});

describe("secrets", () => {
  it("have mode 0600, and do not appear in a public file", () => {
    for (const step of steps(ha)) {
      for (const { path, mode, source } of step.secrets) {
        if (path !== "/etc/haproxy/kubernetes-ca.pem") expect([path, mode]).toEqual([path, "0600"]);
        if (source.endsWith("/key")) expect(path).toMatch(/-key\.pem$/);
      }
      for (const { content } of step.files)
        expect(content).not.toMatch(/PRIVATE KEY|client-key-data|secret: [A-Za-z0-9+/]{16}/);
    }
  });

  it("never include the key of a root CA", () => {
    const sources = steps(ha).flatMap((step) => step.secrets.map(({ source }) => source));
    for (const ca of ["kubernetes-ca", "etcd-ca", "front-proxy-ca"]) expect(sources).not.toContain(`${ca}/key`);
  });

  it("keep the administrator's kubeconfig in memory, and off the workers", () => {
    for (const step of steps(ha)) {
      for (const { path, source } of step.secrets) {
        if (source !== "kubeconfig/admin") continue;
        expect(path).toBe(`/run/kubernetes-from-scratch/${step.name}/admin.conf`);
        expect(step.machine.role).toBe("control-plane");
        expect(step.script).toMatch(/^ *as_admin$/m);
      }
    }
  });
});

describe("files", () => {
  it("have no unfilled placeholder, end with a newline, and have permission bits", () => {
    for (const cluster of [single, ha, series]) {
      for (const step of steps(cluster)) {
        for (const { path, mode, content } of step.files) {
          expect(content, path).not.toMatch(/\{\{|\}\}\w|undefined/);
          expect(content.endsWith("\n"), path).toBe(true);
          expect(mode).toMatch(/^0[0-7]{3}$/);
        }
      }
    }
  });

  it("are valid if they are YAML or JSON", () => {
    for (const step of steps(ha)) {
      for (const { path, content } of step.files) {
        if (path.endsWith(".conf") && path.includes("/cni/")) expect(JSON.parse(content)).toHaveProperty("cniVersion");
        if (path.endsWith(".yaml") && path !== "/etc/crictl.yaml") {
          for (const document of content.split(/^---$/m)) expect(parse(document)).toHaveProperty("apiVersion");
        }
      }
    }
  });

  it("tell the API server about every member of etcd", () => {
    const unit = file(find(ha, "control-plane@controller-1"), "/etc/systemd/system/kube-apiserver.service");
    expect(unit).toContain(
      `--etcd-servers=${ha.controllers.map(({ privateIp }) => `https://${privateIp}:2379`).join(",")} `,
    );
  });

  it("give every node one name for the API, which resolves to all control-plane machines or to the balancer", () => {
    expect(find(ha, "machine@worker-0").variables["HOST_NAMES"]).toContain(`10.0.3.13 ${ha.apiName}`);
    const names = find(series, "machine@worker-0").variables["HOST_NAMES"];
    expect(names).toContain(`10.0.1.10 ${series.apiName}`);
    expect(names).not.toContain(`10.0.1.11 ${series.apiName}`);
  });

  it("list every API server in the balancer's configuration", () => {
    const configuration = file(find(series, "balancer@balancer"), "/etc/haproxy/kubernetes.cfg");
    for (const { name, privateIp } of series.controllers)
      expect(configuration).toContain(`server ${name} ${privateIp}:6443`);
  });
});

describe("the kubelet's configuration", () => {
  const config = (cluster: ClusterSpec, index: number) =>
    parse(kubeletConfig(cluster, cluster.nodes[index]!).content) as Record<string, unknown>;

  it("disables insecure defaults", () => {
    expect(config(single, 1)).toMatchObject({
      authentication: { anonymous: { enabled: false }, webhook: { enabled: true } },
      authorization: { mode: "Webhook" },
      readOnlyPort: 0,
      rotateCertificates: true,
      seccompDefault: true,
      cgroupDriver: "systemd",
    });
  });

  it("taints the control plane and nothing else", () => {
    expect(config(single, 0)["registerWithTaints"]).toEqual([
      { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" },
    ]);
    expect(config(single, 1)["registerWithTaints"]).toEqual([]);
  });

  it("reserves what the cluster's configuration says", () => {
    const reserved = config(spec({ kubeReserved: { cpu: "250m", memory: "300Mi" } }), 1);
    expect(reserved["kubeReserved"]).toEqual({ cpu: "250m", memory: "300Mi" });
  });
});

/** The main job on a local cloud of its own: chapter by chapter, then everything that a user does with the cluster. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { labImages } from "../../labs/images";
import { ensureImagesFor } from "../../tools/toolchain";
import { etcdctl } from "../support/etcd";
import { Lab, eventually } from "../support/cluster";

const at = { stack: "test-single", cloud: "test-single", port: 5011, network: "10.2" };
let lab: Lab;

/** Machines' SSH logins since they booted, by name. */
async function logins(machines: readonly string[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const machine of machines) {
    const text = await lab.cloud("exec", machine, "--", "journalctl", "-u", "ssh", "--no-pager", "-o", "cat");
    counts[machine] = text.split("\n").filter((line) => line.startsWith("Accepted publickey")).length;
  }
  return counts;
}

async function readyNodes(): Promise<string[]> {
  const text = await lab.kubectl(
    "get",
    "nodes",
    "-o",
    'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}',
  );
  return text.split("\n").flatMap((line) => (line.endsWith(" True") ? [line.split(" ")[0] ?? ""] : []));
}

async function untilReady(names: readonly string[], seconds = 120): Promise<void> {
  await eventually(`nodes ${names.join(", ")} Ready`, seconds, async () => {
    const ready = await readyNodes().catch((error: Error) => [error.message]);
    return names.every((name) => ready.includes(name)) && ready.length === names.length
      ? { done: undefined }
      : { saw: ready.join(", ") };
  });
}

const unchanged = /(Resources:\s+\d+ unchanged)/;

beforeAll(async () => {
  await ensureImagesFor(labImages);
  lab = new Lab(at, "local", { openNodePorts: undefined });
});

afterAll(async () => {
  if (lab) await lab.destroy();
});

describe("chapter by chapter", () => {
  test("an engine killed while it makes the network leaves a state from which `make up` goes on, and no orphan", async () => {
    await lab.killAt(lab.start("up", "STAGE=machines"), (output) => /aws:ec2:RouteTable \S+ creat/.test(output));
    await lab.make("up", { args: ["STAGE=machines"] });
    expect(await lab.strays()).toEqual([]);
    expect((await lab.cloud("status")).match(/^(controller|worker)-\d/gm)).toHaveLength(3);
  });

  test("STAGE=etcd stops after etcd and prints its proof", async () => {
    const output = await lab.make("up", { args: ["STAGE=etcd"] });
    expect(output).toMatch(/✓ etcd/);
    const health = await lab.ssh("controller-0", `${etcdctl} endpoint health 2>&1`);
    expect(health).toContain("is healthy");
    expect((await lab.trySsh("controller-0", "systemctl is-active kube-apiserver")).exitCode).not.toBe(0);
  });

  test("STAGE=control-plane: the API answers, and there are no nodes", async () => {
    await lab.make("up", { args: ["STAGE=control-plane"] });
    expect(await lab.kubectl("get", "nodes", "-o", "name")).toBe("");
    expect(await lab.kubectl("get", "--raw", "/readyz")).toBe("ok");
  });

  test("STAGE=workers: nodes register and stay NotReady without a pod network", async () => {
    await lab.make("up", { args: ["STAGE=workers"] });
    const names = (await lab.kubectl("get", "nodes", "-o", "name")).split("\n").sort();
    expect(names).toEqual(["node/controller-0", "node/worker-0", "node/worker-1"]);
    expect(await readyNodes()).toEqual([]);
  });

  test("an engine killed in the middle of the rest leaves a state from which `make up` goes on", async () => {
    await lab.killAt(lab.start("up"), (output) => /command:remote:Command (pod-network|dns)@\S+ creating/.test(output));
    await lab.make("up");
    expect(await lab.strays()).toEqual([]);
    await untilReady(["controller-0", "worker-0", "worker-1"]);
  });
});

describe("the cluster", () => {
  test("runs the versions that were asked for, and keeps pods off the control plane", async () => {
    const nodes = JSON.parse(await lab.kubectl("get", "nodes", "-o", "json")) as {
      items: {
        metadata: { name: string; labels: Record<string, string> };
        spec: { taints?: { key: string; effect: string }[]; podCIDR?: string; providerID?: string };
        status: { nodeInfo: Record<string, string> };
      }[];
    };
    for (const node of nodes.items) {
      expect(node.status.nodeInfo["kubeletVersion"]).toMatch(/^v1\.36\./);
      expect(node.status.nodeInfo["containerRuntimeVersion"]).toMatch(/^containerd:\/\/2\./);
      expect(node.status.nodeInfo["osImage"]).toMatch(/Debian GNU\/Linux 13/);
      expect(node.spec.providerID).toMatch(/^aws:\/\/\/[a-z0-9-]+\/i-/);
      const taints = node.spec.taints?.map((taint) => `${taint.key}:${taint.effect}`) ?? [];
      const isControlPlane = node.metadata.name === "controller-0";
      expect(taints.includes("node-role.kubernetes.io/control-plane:NoSchedule")).toBe(isControlPlane);
      expect("node-role.kubernetes.io/control-plane" in node.metadata.labels).toBe(isControlPlane);
    }
    expect(await lab.ssh("worker-0", "sudo grep cgroupDriver /var/lib/kubelet/config.yaml")).toContain("systemd");
  });

  test("hands out a kubeconfig that only its owner reads", async () => {
    const { stdout } = await execa("stat", ["-c", "%a", `.lab/${at.stack}/kubeconfig`, `.lab/${at.stack}/id`]);
    expect(stdout.split("\n")).toEqual(["600", "600"]);
  });

  test("connects pods on different workers by address, by Service and by name", async () => {
    await lab.apply(readFileSync(join(__dirname, "manifests/network.yaml"), "utf8"));
    await lab.kubectl("-n", "e2e-network", "rollout", "status", "daemonset/web", "--timeout=120s");
    await lab.kubectl("-n", "e2e-network", "wait", "--for=condition=Ready", "pod/client", "--timeout=60s");
    const pods = (
      await lab.kubectl(
        "-n",
        "e2e-network",
        "get",
        "pods",
        "-l",
        "app=web",
        "-o",
        'jsonpath={range .items[*]}{.status.podIP} {.spec.nodeName}{"\\n"}{end}',
      )
    ).split("\n");
    expect(new Set(pods.map((line) => line.split(" ")[1])).size).toBe(2);
    const get = (url: string): Promise<string> =>
      lab.kubectl("-n", "e2e-network", "exec", "client", "--", "wget", "-qO-", "-T", "5", url);
    for (const line of pods) expect(await get(`http://${line.split(" ")[0]}:8080/hostname`)).toMatch(/^web-/);
    const serviceIp = await lab.kubectl(
      "-n",
      "e2e-network",
      "get",
      "service",
      "web",
      "-o",
      "jsonpath={.spec.clusterIP}",
    );
    expect(await get(`http://${serviceIp}/hostname`)).toMatch(/^web-/);
    expect(await get("http://web/hostname")).toMatch(/^web-/);
    expect(await get("http://web.e2e-network.svc.cluster.local/hostname")).toMatch(/^web-/);
  });

  test("resolves names inside, and answers or refuses names outside without a loop", async () => {
    const lookup = async (name: string): Promise<string> =>
      String((await lab.tryKubectl("-n", "e2e-network", "exec", "client", "--", "nslookup", name)).all);
    expect(await lookup("kubernetes.default.svc.cluster.local")).toContain("10.32.0.1");
    const outside = await lookup("example.com.");
    expect(outside).toMatch(/NXDOMAIN|REFUSED|SERVFAIL|can't|Address/);
    const logs = await lab.kubectl("-n", "kube-system", "logs", "-l", "k8s-app=kube-dns", "--tail=-1");
    expect(logs).not.toMatch(/Loop .* detected/);
  });

  test("logs, exec, cp and port-forward work", async () => {
    const pod = await lab.kubectl(
      "-n",
      "e2e-network",
      "get",
      "pods",
      "-l",
      "app=web",
      "-o",
      "jsonpath={.items[0].metadata.name}",
    );
    expect(await lab.kubectl("-n", "e2e-network", "logs", pod)).toContain("8080");
    expect(await lab.kubectl("-n", "e2e-network", "exec", "client", "--", "hostname")).toBe("client");
    await lab.kubectl("-n", "e2e-network", "cp", join(__dirname, "manifests/network.yaml"), "client:/tmp/copied");
    expect(await lab.kubectl("-n", "e2e-network", "exec", "client", "--", "cat", "/tmp/copied")).toContain("name: web");
    const forward = execa("kubectl", ["-n", "e2e-network", "port-forward", `pod/${pod}`, "18080:8080"], {
      env: lab.environment(),
      reject: false,
    });
    try {
      const name = await eventually("the forwarded port answers", 20, async () => {
        const answer = await fetch("http://127.0.0.1:18080/hostname").catch((error: Error) => error);
        return answer instanceof Error ? { saw: answer.message } : { done: await answer.text() };
      });
      expect(name).toBe(pod);
    } finally {
      forward.kill("SIGKILL");
      await forward;
    }
  });

  test("the API server reaches pods: an admission webhook and an aggregated API", async () => {
    const dir = mkdtempSync(join(tmpdir(), "kfs-webhook-"));
    const names = ["webhook", "extension"].map((service) => `DNS:${service}.e2e-webhook.svc`).join(",");
    const [key, cert] = [join(dir, "tls.key"), join(dir, "tls.crt")];
    await execa("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"],
      ...["-subj", "/CN=e2e", "-addext", `subjectAltName=${names}`, "-keyout", key, "-out", cert],
    ]);
    const caBundle = readFileSync(cert).toString("base64");
    await lab.apply(readFileSync(join(__dirname, "manifests/webhook.yaml"), "utf8"));
    await lab.kubectl("-n", "e2e-webhook", "create", "secret", "tls", "serving", `--cert=${cert}`, `--key=${key}`);
    rmSync(dir, { recursive: true });
    await lab.kubectl("-n", "e2e-webhook", "wait", "--for=condition=Ready", "pod", "--all", "--timeout=90s");
    await lab.apply(
      JSON.stringify({
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: "ValidatingWebhookConfiguration",
        metadata: { name: "e2e-always-deny" },
        webhooks: [
          {
            name: "always-deny.e2e.test",
            clientConfig: { caBundle, service: { name: "webhook", namespace: "e2e-webhook", path: "/always-deny" } },
            rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["configmaps"] }],
            namespaceSelector: { matchLabels: { e2e: "webhook" } },
            admissionReviewVersions: ["v1"],
            sideEffects: "None",
            failurePolicy: "Fail",
          },
        ],
      }),
    );
    await lab.apply(
      JSON.stringify({
        apiVersion: "apiregistration.k8s.io/v1",
        kind: "APIService",
        metadata: { name: "v1.e2e.test" },
        spec: {
          ...{ group: "e2e.test", version: "v1", groupPriorityMinimum: 100, versionPriority: 10, caBundle },
          service: { name: "extension", namespace: "e2e-webhook" },
        },
      }),
    );
    try {
      await eventually("the webhook denies", 30, async () => {
        const result = await lab.tryKubectl("-n", "e2e-webhook", "create", "configmap", "denied");
        return result.all.includes("this webhook denies all requests") ? { done: undefined } : { saw: result.all };
      });
      await lab.kubectl("wait", "--for=condition=Available", "apiservice/v1.e2e.test", "--timeout=60s");
      expect(await lab.kubectl("get", "--raw", "/apis/e2e.test/v1/anything")).toMatch(/^NOW: /);
    } finally {
      await lab.kubectl("delete", "apiservice/v1.e2e.test", "validatingwebhookconfiguration/e2e-always-deny");
      await lab.kubectl("delete", "namespace", "e2e-webhook", "--wait=false");
    }
  });

  test("a NodePort opens for the administrator by one value, and is closed without it", async () => {
    const url = `http://${at.network}.1.21:30080/hostname`;
    const ask = (): Promise<string> =>
      fetch(url, { signal: AbortSignal.timeout(2000) })
        .then((r) => r.text())
        .catch((error: Error) => `closed: ${error.name}`);
    expect(await ask()).toMatch(/^closed/);
    lab.configure({ openNodePorts: true });
    await lab.make("up");
    expect(
      await eventually("the NodePort answers", 20, async () => {
        const saw = await ask();
        return saw.startsWith("web-") ? { done: saw } : { saw };
      }),
    ).toMatch(/^web-/);
    lab.configure({ openNodePorts: undefined });
    await lab.make("up");
    await eventually("the NodePort is closed again", 20, async () => {
      const saw = await ask();
      return saw.startsWith("closed") ? { done: saw } : { saw };
    });
  });

  test("a port that no security group opens is closed, between machines too", async () => {
    const reach = async (from: string, address: string, port: number): Promise<boolean> =>
      (await lab.trySsh(from, `timeout 2 bash -c '</dev/tcp/${address}/${port}'`)).exitCode === 0;
    const controller = `${at.network}.1.11`;
    expect(await reach("worker-0", controller, 6443)).toBe(true);
    expect(await reach("worker-0", controller, 2379)).toBe(false);
    expect(await reach("worker-0", controller, 22)).toBe(false);
    expect(await reach("controller-0", `${at.network}.1.21`, 10250)).toBe(true);
    expect(await reach("controller-0", `${at.network}.1.21`, 9999)).toBe(false);
  });

  test("keeps Secrets encrypted in etcd", async () => {
    await lab.kubectl("-n", "default", "create", "secret", "generic", "e2e", "--from-literal=word=correct-horse");
    const raw = await lab.ssh(
      "controller-0",
      `${etcdctl} get /registry/secrets/default/e2e --print-value-only | head -c 400 | tr -c '[:print:]' .`,
    );
    expect(raw).toMatch(/^k8s:enc:secretbox:/);
    expect(raw).not.toContain("correct-horse");
    await lab.kubectl("-n", "default", "delete", "secret", "e2e");
  });
});

describe("the experiments", () => {
  test.each(["deployment", "configmap-secret", "labels-selectors", "certificates", "dns"])("%s", async (name) => {
    const output = await lab.make("lab", { args: [`LAB=${name}`] });
    expect(output).toMatch(/passed/);
    expect(await lab.kubectl("get", "namespaces", "-o", "name")).not.toContain(`lab-${name}`);
  });
});

describe("changes", () => {
  test("an unchanged `up` and `preview` change nothing and log in nowhere", async () => {
    const machines = ["controller-0", "worker-0", "worker-1"];
    await lab.make("up");
    const before = await logins(machines);
    expect(await lab.make("up")).toMatch(unchanged);
    const preview = await lab.make("preview");
    expect(preview).toMatch(unchanged);
    expect(preview).not.toMatch(/to (create|update|replace|delete)/);
    expect(await logins(machines)).toEqual(before);
  });

  test("workers 2 -> 3 -> 2: the new node is Ready, the leaving one is gone from the API", async () => {
    lab.configure({ workerCount: 3 });
    expect(await lab.make("preview")).toMatch(/to create/);
    await lab.make("up");
    await untilReady(["controller-0", "worker-0", "worker-1", "worker-2"]);
    lab.configure({ workerCount: 2 });
    await lab.make("up");
    await untilReady(["controller-0", "worker-0", "worker-1"], 10);
  });

  test("a kubelet reservation changes the workers' allocatable, and the preview shows the line", async () => {
    lab.configure({ kubeReserved: { cpu: "150m", memory: "256Mi" } });
    const diff = await lab.make("preview", { args: ["ARGS=--diff"] });
    expect(diff).toMatch(/\+.*kubeReserved/);
    expect(diff).not.toMatch(/PRIVATE KEY/);
    const allocatable = (): Promise<string> =>
      lab.kubectl("get", "node", "worker-0", "-o", "jsonpath={.status.allocatable.cpu}");
    const before = await allocatable();
    await lab.make("up");
    await eventually("allocatable CPU drops by 150m", 60, async () => {
      const now = await allocatable();
      return milli(now) === milli(before) - 150 ? { done: now } : { saw: `${before} -> ${now}` };
    });
    lab.configure({ kubeReserved: undefined });
    await lab.make("up");
  });

  test("after a reboot of every machine and a refresh there is still nothing to change", async () => {
    for (const machine of ["worker-0", "worker-1", "controller-0"]) await lab.cloud("reboot", machine);
    await eventually("the API answers after the reboot", 120, async () => {
      const result = await lab.tryKubectl("get", "--raw", "/readyz", "--request-timeout=3s");
      return result.exitCode === 0 ? { done: undefined } : { saw: String(result.all) };
    });
    await untilReady(["controller-0", "worker-0", "worker-1"]);
    expect(await lab.make("preview")).not.toMatch(/to (create|update|replace|delete)/);
    await lab.make("refresh");
    expect(await lab.make("preview")).not.toMatch(/to (create|update|replace|delete)/);
  });

  test("bad input is told all at once, before anything is created", async () => {
    lab.configure({ workerCount: -1, podCidr: `${at.network}.0.0/16`, stagee: "dns" });
    const output = await lab.make("up", { reject: false });
    lab.configure({ workerCount: 2, podCidr: undefined, stagee: undefined });
    expect(output).toMatch(/workerCount/);
    expect(output).toMatch(/podCidr/);
    expect(output).toMatch(/stagee.*did you mean.*stage/is);
    expect(output).not.toMatch(/\n\s+at .*\.ts:\d+/);
  });
});

describe("the end", () => {
  test("`make down` leaves nothing", async () => {
    const output = await lab.make("down");
    expect(output).not.toMatch(/error/i);
    const left = await execa("bash", [
      "-c",
      `ps -eo args | grep -E '[l]ab.*${at.cloud}|[m]oto.*${at.port}' || true; ip rule; cat /etc/hosts`,
    ]);
    expect(left.stdout).not.toContain(at.cloud);
    expect(left.stdout).not.toContain("moto");
  });
});

/** CPU quantity in millicores: "2" is 2000, "1850m" is 1850. */
function milli(quantity: string): number {
  return quantity.endsWith("m") ? Number(quantity.slice(0, -1)) : Number(quantity) * 1000;
}

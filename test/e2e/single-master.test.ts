/** The main job on its own local cloud: chapter by chapter, then everything that a user does with the cluster. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { images } from "../../cluster/versions";
import { millicores } from "../../labs/framework/quantity";
import { labImages } from "../../labs/images";
import { cacheRoot } from "../../lib/cache";
import { ensureImagesFor } from "../../tools/toolchain";
import { etcdctl } from "../support/etcd";
import { eventually } from "../support/cluster";
import { foreignShell } from "../support/shell";
import { clusterFor, type Needs } from "../support/needs";

beforeAll(() => ensureImagesFor(labImages));

const needs: Needs = { preset: "local", values: { openNodePorts: undefined }, up: false };
const cluster = clusterFor("single", needs);
const { at } = cluster;

/** Number of SSH logins since boot, by machine. */
async function logins(machines: readonly string[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const machine of machines) {
    const text = await cluster.cloud`exec ${machine} -- journalctl -u ssh --no-pager -o cat`;
    counts[machine] = text.split("\n").filter((line) => line.startsWith("Accepted publickey")).length;
  }
  return counts;
}

/** Number of steps of the bootstrap that have run, by machine: each begins its log with "--- <name>". */
async function stepsRun(machines: readonly string[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const machine of machines) {
    const logs =
      await cluster.cloud`exec ${machine} -- find /var/log/kubernetes-from-scratch -name *.log -exec cat {} +`;
    counts[machine] = logs.split("\n").filter((line) => line.includes(" --- ")).length;
  }
  return counts;
}

/** Writes an image of the registry as an archive image.tar, like `docker save`, under another name. */
async function saveAs(name: string, repository: string, tag: string, folder: string): Promise<void> {
  const from = join(cacheRoot(), "registry/v2", repository);
  const { config, layers } = JSON.parse(readFileSync(join(from, "manifests", tag), "utf8")) as {
    config: { digest: string };
    layers: { digest: string }[];
  };
  const files = [config, ...layers].map(({ digest }) => digest.replace("sha256:", ""));
  for (const file of files) copyFileSync(join(from, "blobs", `sha256:${file}`), join(folder, file));
  const [Config, ...Layers] = files;
  writeFileSync(join(folder, "manifest.json"), JSON.stringify([{ Config, RepoTags: [name], Layers }]));
  await execa("tar", ["-cf", "image.tar", "manifest.json", ...files], { cwd: folder });
}

async function readyNodes(): Promise<string[]> {
  const ready =
    'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}';
  const text = await cluster.kubectl`get nodes -o ${ready}`;
  return text.split("\n").flatMap((line) => (line.endsWith(" True") ? [line.split(" ")[0] ?? ""] : []));
}

async function untilReady(names: readonly string[], seconds = 120): Promise<void> {
  await eventually(`nodes ${names.join(", ")} to be Ready`, seconds, async () => {
    const ready = await readyNodes().catch((error: Error) => [error.message]);
    return names.every((name) => ready.includes(name)) && ready.length === names.length
      ? { done: undefined }
      : { saw: ready.join(", ") };
  });
}

const unchanged = /(Resources:\s+\d+ unchanged)/;

describe("chapter by chapter", () => {
  it("recovers from an engine killed while it creates the network, and leaves no orphan", async () => {
    await cluster.killAt(cluster.start`up STAGE=machines`, (output) => /aws:ec2:RouteTable \S+ creat/.test(output));
    await cluster.make`up STAGE=machines`;
    expect(await cluster.strays()).toEqual([]);
    expect((await cluster.cloud`status`).match(/^(controller|worker)-\d/gm)).toHaveLength(3);
  });

  it("stops after etcd with STAGE=etcd, and prints its proof", async () => {
    const output = await cluster.make`up STAGE=etcd`;
    expect(output).toMatch(/✓ etcd/);
    const health = await cluster.ssh("controller-0", `${etcdctl} endpoint health 2>&1`);
    expect(health).toContain("is healthy");
    expect((await cluster.trySsh("controller-0", "systemctl is-active kube-apiserver")).exitCode).not.toBe(0);
    const status = await cluster.make`status`;
    expect(status).toMatch(/^controller-0 +ok +leader$/m);
    expect(status).not.toMatch(/API|NODE/);
  });

  it("has an API but no nodes after STAGE=control-plane", async () => {
    await cluster.make`up STAGE=control-plane`;
    expect(await cluster.kubectl`get nodes -o name`).toBe("");
    expect(await cluster.kubectl`get --raw /readyz`).toBe("ok");
  });

  it("registers nodes with STAGE=workers; they stay NotReady without a pod network", async () => {
    await cluster.make`up STAGE=workers`;
    const names = (await cluster.kubectl`get nodes -o name`).split("\n").sort();
    expect(names).toEqual(["node/controller-0", "node/worker-0", "node/worker-1"]);
    expect(await readyNodes()).toEqual([]);
  });

  it("recovers from an engine killed in the middle of the rest, and leaves no orphan", async () => {
    await cluster.killAt(cluster.start`up`, (output) =>
      /command:remote:Command (pod-network|dns)@\S+ creating/.test(output),
    );
    await cluster.make`up`;
    expect(await cluster.strays()).toEqual([]);
    await untilReady(["controller-0", "worker-0", "worker-1"]);
  });
});

describe("the cluster", () => {
  it("runs the requested versions, and keeps pods off the control plane", async () => {
    const nodes = JSON.parse(await cluster.kubectl`get nodes -o json`) as {
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
    expect(await cluster.ssh("worker-0", "sudo grep cgroupDriver /var/lib/kubelet/config.yaml")).toContain("systemd");
  });

  it("writes a kubeconfig that only its owner can read", async () => {
    const { stdout } = await execa("stat", ["-c", "%a", `.lab/${at.stack}/kubeconfig`, `.lab/${at.stack}/id`]);
    expect(stdout.split("\n")).toEqual(["600", "600"]);
  });

  it("connects pods on different workers by address, by Service and by name", async () => {
    await cluster.apply(readFileSync(join(__dirname, "manifests/network.yaml"), "utf8"));
    await cluster.kubectl`-n e2e-network rollout status daemonset/web --timeout=120s`;
    await cluster.kubectl`-n e2e-network wait --for=condition=Ready pod/client --timeout=60s`;
    const addressAndNode = 'jsonpath={range .items[*]}{.status.podIP} {.spec.nodeName}{"\\n"}{end}';
    const pods = (await cluster.kubectl`-n e2e-network get pods -l app=web -o ${addressAndNode}`).split("\n");
    expect(new Set(pods.map((line) => line.split(" ")[1])).size).toBe(2);
    const get = (url: string): Promise<string> => cluster.kubectl`-n e2e-network exec client -- wget -qO- -T 5 ${url}`;
    for (const line of pods) expect(await get(`http://${line.split(" ")[0]}:8080/hostname`)).toMatch(/^web-/);
    const serviceIp = await cluster.kubectl`-n e2e-network get service web -o jsonpath={.spec.clusterIP}`;
    expect(await get(`http://${serviceIp}/hostname`)).toMatch(/^web-/);
    expect(await get("http://web/hostname")).toMatch(/^web-/);
    expect(await get("http://web.e2e-network.svc.cluster.local/hostname")).toMatch(/^web-/);
  });

  it("has a CoreDNS pod on each worker", async () => {
    const nodes =
      await cluster.kubectl`-n kube-system get pods -l k8s-app=kube-dns -o jsonpath={.items[*].spec.nodeName}`;
    expect(nodes.split(" ").sort()).toEqual(["worker-0", "worker-1"]);
  });

  it("runs static pods", async () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "static", namespace: "default" },
      spec: { containers: [{ name: "pause", image: images.pause }] },
    };
    await cluster.ssh("worker-0", "sudo tee /etc/kubernetes/manifests/static.json >/dev/null", JSON.stringify(pod));
    await eventually("the static pod to run", 60, async () => {
      const { all } = await cluster.tryKubectl`get pod static-worker-0 -n default -o jsonpath={.status.phase}`;
      return all === "Running" ? { done: undefined } : { saw: all };
    });
    await cluster.ssh("worker-0", "sudo rm /etc/kubernetes/manifests/static.json");
    await cluster.kubectl`wait --for=delete pod/static-worker-0 -n default --timeout=60s`;
  });

  it("runs an image that `make image` has taken out of an archive, and says why another one cannot be had", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kfs-image-"));
    const name = `example.test/mine:${Date.now()}`; // the registry of this machine's caches keeps it
    await saveAs(name, "library/busybox", "1.37", folder);
    expect(await cluster.make`image FILE=${join(folder, "image.tar")}`).toContain(name);
    rmSync(folder, { recursive: true });
    expect(await cluster.make`image`).toContain(name.replace("example.test/", ""));
    await cluster.kubectl`run mine -n default --image=${name} --restart=Never -- echo it runs`;
    await cluster.kubectl`wait -n default pod/mine --for=jsonpath={.status.phase}=Succeeded --timeout=60s`;
    expect(await cluster.kubectl`logs -n default mine`).toBe("it runs");
    await cluster.kubectl`run other -n default --image=example.test/other:1`;
    await eventually("an event that names the missing image", 60, async () => {
      const saw = await cluster.kubectl`events -n default --for pod/other`;
      return /example\.test\/other:1.*not found/s.test(saw) ? { done: undefined } : { saw };
    });
    await cluster.kubectl`delete pod -n default mine other --now`;
    expect((await cluster.tryMake`image IMAGE=no-such-image-anywhere`).all).toMatch(/is not available/);
  });

  it("resolves names inside, and resolves or refuses names outside without a loop", async () => {
    const lookup = async (name: string): Promise<string> =>
      String((await cluster.tryKubectl`-n e2e-network exec client -- nslookup ${name}`).all);
    expect(await lookup("kubernetes.default.svc.cluster.local")).toContain("10.32.0.1");
    const outside = await lookup("example.com.");
    expect(outside).toMatch(/NXDOMAIN|REFUSED|SERVFAIL|can't|Address/);
    const logs = await cluster.kubectl`-n kube-system logs -l k8s-app=kube-dns --tail=-1`;
    expect(logs).not.toMatch(/Loop .* detected/);
  });

  it("supports logs, exec, cp and port-forward", async () => {
    const pod = await cluster.kubectl`-n e2e-network get pods -l app=web -o jsonpath={.items[0].metadata.name}`;
    expect(await cluster.kubectl`-n e2e-network logs ${pod}`).toContain("8080");
    expect(await cluster.kubectl`-n e2e-network exec client -- hostname`).toBe("client");
    await cluster.kubectl`-n e2e-network cp ${join(__dirname, "manifests/network.yaml")} client:/tmp/copied`;
    expect(await cluster.kubectl`-n e2e-network exec client -- cat /tmp/copied`).toContain("name: web");
    const forward = execa("kubectl", ["-n", "e2e-network", "port-forward", `pod/${pod}`, "18080:8080"], {
      env: cluster.environment(),
      reject: false,
    });
    try {
      const name = await eventually("the forwarded port to respond", 20, async () => {
        const result = await fetch("http://127.0.0.1:18080/hostname").catch((error: Error) => error);
        return result instanceof Error ? { saw: result.message } : { done: await result.text() };
      });
      expect(name).toBe(pod);
    } finally {
      forward.kill("SIGKILL");
      await forward;
    }
  });

  it("lets the API server reach pods: an admission webhook and an aggregated API", async () => {
    const dir = mkdtempSync(join(tmpdir(), "kfs-webhook-"));
    const names = ["webhook", "extension"].map((service) => `DNS:${service}.e2e-webhook.svc`).join(",");
    const [key, cert] = [join(dir, "tls.key"), join(dir, "tls.crt")];
    await execa("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"],
      ...["-subj", "/CN=e2e", "-addext", `subjectAltName=${names}`, "-keyout", key, "-out", cert],
    ]);
    const caBundle = readFileSync(cert).toString("base64");
    await cluster.apply(readFileSync(join(__dirname, "manifests/webhook.yaml"), "utf8"));
    await cluster.kubectl`-n e2e-webhook create secret tls serving --cert=${cert} --key=${key}`;
    rmSync(dir, { recursive: true });
    await cluster.kubectl`-n e2e-webhook wait --for=condition=Ready pod --all --timeout=90s`;
    await cluster.apply(
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
    await cluster.apply(
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
      await eventually("the webhook to deny", 30, async () => {
        const result = await cluster.tryKubectl`-n e2e-webhook create configmap denied`;
        return result.all.includes("this webhook denies all requests") ? { done: undefined } : { saw: result.all };
      });
      await cluster.kubectl`wait --for=condition=Available apiservice/v1.e2e.test --timeout=60s`;
      expect(await cluster.kubectl`get --raw /apis/e2e.test/v1/anything`).toMatch(/^NOW: /);
    } finally {
      await cluster.kubectl`delete apiservice/v1.e2e.test validatingwebhookconfiguration/e2e-always-deny`;
      await cluster.kubectl`delete namespace e2e-webhook --wait=false`;
    }
  });

  it("opens NodePorts to the administrator with one value, and closes them without it", async () => {
    const url = `http://${at.network}.1.21:30080/hostname`;
    const ask = (): Promise<string> =>
      fetch(url, { signal: AbortSignal.timeout(2000) })
        .then((r) => r.text())
        .catch((error: Error) => `closed: ${error.name}`);
    expect(await ask()).toMatch(/^closed/);
    cluster.configure({ openNodePorts: true });
    await cluster.make`up`;
    expect(
      await eventually("the NodePort to respond", 20, async () => {
        const saw = await ask();
        return saw.startsWith("web-") ? { done: saw } : { saw };
      }),
    ).toMatch(/^web-/);
    cluster.configure({ openNodePorts: undefined });
    await cluster.make`up`;
    await eventually("the NodePort to close again", 20, async () => {
      const saw = await ask();
      return saw.startsWith("closed") ? { done: saw } : { saw };
    });
  });

  it("keeps Secrets encrypted in etcd", async () => {
    await cluster.kubectl`-n default create secret generic e2e --from-literal=word=correct-horse`;
    const raw = await cluster.ssh(
      "controller-0",
      `${etcdctl} get /registry/secrets/default/e2e --print-value-only | head -c 400 | tr -c '[:print:]' .`,
    );
    expect(raw).toMatch(/^k8s:enc:secretbox:/);
    expect(raw).not.toContain("correct-horse");
    await cluster.kubectl`-n default delete secret e2e`;
  });
});

describe("the experiments", () => {
  it.each(["deployment", "configmap-secret", "labels-selectors", "certificates", "dns"])("pass: %s", async (name) => {
    const output = await cluster.make`lab LAB=${name}`;
    expect(output).toMatch(/passed/);
    expect(await cluster.kubectl`get namespaces -o name`).not.toContain(`lab-${name}`);
  });
});

describe("changes", () => {
  it("changes nothing and runs no step when `up` and `preview` run again, and logs in only to ask etcd", async () => {
    const workers = ["worker-0", "worker-1"];
    const machines = ["controller-0", ...workers];
    await cluster.make`up`;
    const [steps, before] = [await stepsRun(machines), await logins(machines)];
    for (const machine of machines) expect(steps[machine], `${machine}: the bootstrap's steps`).toBeGreaterThan(0);
    for (const machine of machines) expect(before[machine], `${machine}: the bootstrap's logins`).toBeGreaterThan(0);
    const again = await cluster.make`up`;
    expect(again).toMatch(unchanged);
    expect(again).not.toMatch(/✓ \w+@/);
    expect(await stepsRun(machines)).toEqual(steps);
    expect(await logins(workers)).toEqual({ "worker-0": before["worker-0"], "worker-1": before["worker-1"] });

    const beforePreview = await logins(machines);
    const preview = await cluster.make`preview`;
    expect(preview).toMatch(unchanged);
    expect(preview).not.toMatch(/to (create|update|replace|delete)/);
    expect(await logins(machines)).toEqual(beforePreview);
  });

  it("scales workers 2 -> 3 -> 2: the new node becomes Ready, the removed one leaves the API", async () => {
    cluster.configure({ workerCount: 3 });
    expect(await cluster.make`preview`).toMatch(/to create/);
    await cluster.make`up`;
    await untilReady(["controller-0", "worker-0", "worker-1", "worker-2"]);
    cluster.configure({ workerCount: 2 });
    await cluster.make`up`;
    await untilReady(["controller-0", "worker-0", "worker-1"], 10);
  });

  it("changes the workers' allocatable with a kubelet reservation, and shows the line in a preview", async () => {
    cluster.configure({ kubeReserved: { cpu: "150m", memory: "256Mi" } });
    const diff = await cluster.make`preview ARGS=--diff`;
    expect(diff).toMatch(/\+.*kubeReserved/);
    expect(diff).not.toMatch(/PRIVATE KEY/);
    const allocatable = (): Promise<string> => cluster.kubectl`get node worker-0 -o jsonpath={.status.allocatable.cpu}`;
    const before = await allocatable();
    await cluster.make`up`;
    await eventually("allocatable CPU to drop by 150m", 60, async () => {
      const now = await allocatable();
      return millicores(now) === millicores(before) - 150 ? { done: now } : { saw: `${before} -> ${now}` };
    });
    cluster.configure({ kubeReserved: undefined });
    await cluster.make`up`;
  });

  it("has nothing to change after a reboot of every machine and a refresh", async () => {
    for (const machine of ["worker-0", "worker-1", "controller-0"]) await cluster.cloud`reboot ${machine}`;
    await eventually("the API to respond after the reboot", 120, async () => {
      const result = await cluster.tryKubectl`get --raw /readyz --request-timeout=3s`;
      return result.exitCode === 0 ? { done: undefined } : { saw: String(result.all) };
    });
    await untilReady(["controller-0", "worker-0", "worker-1"]);
    expect(await cluster.make`preview`).not.toMatch(/to (create|update|replace|delete)/);
    await cluster.make`refresh`;
    expect(await cluster.make`preview`).not.toMatch(/to (create|update|replace|delete)/);
  });

  it("reports all bad input together, before anything is created", async () => {
    cluster.configure({ workerCount: -1, podCidr: `${at.network}.0.0/16`, stagee: "dns" });
    const { all: output } = await cluster.tryMake`up`;
    cluster.configure({ workerCount: 2, podCidr: undefined, stagee: undefined });
    expect(output).toMatch(/workerCount/);
    expect(output).toMatch(/podCidr/);
    expect(output).toMatch(/stagee.*did you mean.*stage/is);
    expect(output).not.toMatch(/\n\s+at .*\.ts:\d+/);
  });
});

describe("a machine that is down", () => {
  const machines = ["controller-0", "worker-0", "worker-1"];

  /** `make status` fails and names the machine with the remedy; `make up` brings it back and only then ends well. */
  async function foundAndStarted(machine: string, fault: RegExp, action: RegExp): Promise<void> {
    const status = await cluster.tryMake`status`;
    expect(status.exitCode).not.toBe(0);
    expect(status.all).toMatch(new RegExp(`1 fault:\\n +${machine} ${fault.source}`));
    expect(status.all).toContain(`\`make up STACK=${at.stack}\` starts it`);
    expect(await cluster.make`up`).toMatch(new RegExp(`${machine} ${action.source}[^]*Done in`));
    await untilReady(machines, 1);
    expect(await cluster.make`status`).not.toMatch(/fault/);
  }

  /** Nothing is left of what earlier tests did, so every fault that is found is of the machine that goes down. */
  beforeEach(async () => {
    await eventually("make status to find nothing wrong", 180, async () => {
      const { exitCode, all } = await cluster.tryMake`status`;
      return exitCode === 0 ? { done: undefined } : { saw: String(all) };
    });
  });

  it.each(["worker-1", "controller-0"])("%s, killed", async (machine) => {
    await cluster.cloud`kill ${machine}`;
    await foundAndStarted(machine, /has died/, /has died: rebooting it/);
  });

  it("worker-1, powered off from within", async () => {
    await cluster.trySsh("worker-1", "sudo poweroff");
    await eventually("the instance to be stopped", 60, async () => {
      const saw = await cluster.cloud`status`;
      return /^worker-1 .* stopped /m.test(saw) ? { done: undefined } : { saw };
    });
    await foundAndStarted("worker-1", /is stopped/, /is stopped: starting it/);
  });

  it("an API server that is stopped is a fault that `up` does not hide either", async () => {
    await cluster.ssh("controller-0", "sudo systemctl stop kube-apiserver");
    const output = await cluster.tryMake`up`;
    expect(output.exitCode).not.toBe(0);
    expect(output.all).toMatch(/The API server on controller-0 does not respond/);
    expect(output.all).not.toMatch(/Done in/);
    await cluster.ssh("controller-0", "sudo systemctl start kube-apiserver");
    await cluster.make`up`;
  });
});

describe("a shell that is set up for everything but this project", () => {
  it("has no effect on a running stack, in make targets and after `make env`", async () => {
    cluster.exported = foreignShell;
    expect(await cluster.make`up`).toMatch(unchanged);
    expect(await cluster.shell("kubectl get nodes -o name")).toContain("node/worker-0");
    const preview = await cluster.shell(
      `pulumi preview --stack ${at.stack} --config-file .lab/${at.stack}/Pulumi.${at.stack}.yaml`,
    );
    expect(preview).toMatch(unchanged);
    cluster.exported = {};
    expect(await cluster.make`up`).toMatch(unchanged);
  });
});

describe("the end", () => {
  it("leaves nothing after `make down`, in the user's own kubeconfig either", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kfs-kubeconfig-"));
    const file = join(folder, "config");
    const mine = "# mine\napiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\ncurrent-context: work\nusers: []\n";
    writeFileSync(file, mine, { mode: 0o640 });
    await cluster.make`kubeconfig FILE=${file}`;
    const nodes = await cluster.kubectl`--kubeconfig ${file} --context ${at.stack} get nodes -o name`;
    expect(nodes).toContain("node/worker-0");
    expect(await cluster.kubectl`--kubeconfig ${file} config current-context`).toBe(at.stack);
    const output = await cluster.make`down`;
    expect(output).not.toMatch(/error/i);
    expect(parse(readFileSync(file, "utf8"))).toEqual({ ...(parse(mine) as object), "current-context": "" });
    expect(statSync(file).mode & 0o777).toBe(0o640);
    rmSync(folder, { recursive: true });
    const left = await execa("bash", [
      "-c",
      `ps -eo args | grep -E '[l]ab.*${at.cloud}|[m]oto.*${at.port}' || true; ip rule; cat /etc/hosts`,
    ]);
    expect(left.stdout).not.toContain(at.cloud);
    expect(left.stdout).not.toContain("moto");
  });
});

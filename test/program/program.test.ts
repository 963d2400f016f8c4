/** What the program registers with the engine, for every shape of cluster. */
import { describe, expect, it } from "vitest";
import { definitions } from "../../bootstrap/steps";
import { spec } from "../support/spec";
import { isSecret, plainText, type Registered, reveal, type Run, runProgram, unknown } from "../support/program";

const single = {};
const ha = { controlPlaneCount: 3, zones: 3 };
const series = { controlPlaneCount: 3, apiEndpoint: "haproxy" };
const local = {
  adminAccess: "private",
  adminCidr: "10.0.0.1/32",
  mirror: "http://10.0.0.1:8080",
  registryMirror: "http://10.0.0.1:8080",
};

const encryptionKey = Buffer.alloc(32, 9).toString("base64");

const instance = "aws:ec2/instance:Instance";
const command = "command:remote:Command";
const ingress = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule";
const egress = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule";
const shapes: [string, Record<string, unknown>][] = [
  ["single-master", single],
  ["series", series],
  ["HA, private", { ...ha, ...local }],
];

/** The resources that would not exist without a machine. */
const ofMachine = (run: Run, machine: string): Registered[] =>
  run.resources.filter(
    ({ type, name }) =>
      [machine, `${machine}-host`, `pods-${machine}`].includes(name) ||
      name.endsWith(`/${machine}`) ||
      (type === command && name.endsWith(`@${machine}`)),
  );

/** Steps that run once for the whole cluster, on the first control-plane machine. */
const once = new Set<string>(definitions(spec()).flatMap(({ name, on }) => (on.once ? [name] : [])));
const forAll = (name: string): boolean => once.has(name.split("@")[0] ?? "");

describe.each(shapes)("a cluster of shape %s", (_, values) => {
  it("opens nothing to the world, and every rule has exactly one group or network", async () => {
    const run = await runProgram(values);
    const rules = run.ofType(ingress);
    expect(rules.length).toBeGreaterThan(10);
    for (const { inputs } of rules) {
      expect(inputs["cidrIpv4"]).not.toBe("0.0.0.0/0");
      expect(inputs["cidrIpv6"]).toBeUndefined();
    }
    for (const { inputs } of [...rules, ...run.ofType(egress)])
      expect([inputs["cidrIpv4"], inputs["referencedSecurityGroupId"]].filter(Boolean)).toHaveLength(1);
    for (const { inputs } of run.ofType("aws:ec2/securityGroup:SecurityGroup")) {
      expect(inputs["ingress"]).toBeUndefined();
      expect(inputs["egress"]).toBeUndefined();
    }
    expect(run.get("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "default").inputs).toMatchObject({
      ingress: [],
      egress: [],
    });
  });

  it("hardens its machines, and ignores changes that would replace them", async () => {
    for (const { inputs, ignoreChanges, deleteBeforeReplace, name } of (await runProgram(values)).ofType(instance)) {
      expect(inputs["metadataOptions"]).toEqual({
        httpEndpoint: "enabled",
        httpTokens: "required",
        httpPutResponseHopLimit: 1,
      });
      expect(inputs["rootBlockDevice"]).toMatchObject({
        encrypted: true,
        volumeType: "gp3",
        deleteOnTermination: true,
      });
      expect(inputs["sourceDestCheck"]).toBe(name === "balancer");
      expect(isSecret(inputs["userDataBase64"])).toBe(true);
      expect(ignoreChanges).toEqual(expect.arrayContaining(["ami", "userDataBase64"]));
      expect(deleteBeforeReplace).toBe(true);
    }
  });

  it("shows no private key in any input or output that is not secret", async () => {
    const run = await runProgram(values);
    for (const { inputs } of run.resources) expect(plainText(inputs)).not.toMatch(/PRIVATE KEY/);
    expect(plainText(run.outputs)).not.toMatch(/PRIVATE KEY|client-key-data/);
    expect(isSecret(run.outputs["kubeconfig"])).toBe(true);
    expect(isSecret(run.outputs["sshPrivateKey"])).toBe(true);
    for (const open of ["apiEndpoint", "nodes", "sshConfig", "sshKnownHosts", "certificateExpiry", "proofs"])
      expect(plainText(run.outputs[open])).not.toContain("[secret]");
  });

  it("runs its steps over verified SSH, again on a new instance, but never on one that is deleted", async () => {
    const run = await runProgram(values);
    for (const { inputs, name, deletedWith } of run.ofType(command)) {
      const machine = name.split("@")[1] as string;
      const connection = reveal(inputs["connection"]) as Record<string, unknown>;
      expect(connection).toMatchObject({
        user: "admin",
        hostKey: `ssh-ed25519 public-${machine}-host`,
        dialErrorLimit: 60,
        perDialTimeout: 15,
      });
      expect(inputs["triggers"]).toEqual([`${machine}-id`]);
      expect(run.names([deletedWith])).toEqual([machine]);
      expect(inputs).toMatchObject({ logging: "none", addPreviousOutputInEnv: false });
      expect(inputs["delete"] ?? inputs["update"] ?? inputs["environment"]).toBeUndefined();
      expect(typeof inputs["create"]).toBe("string");
      expect(isSecret(inputs["stdin"])).toBe(true);
    }
  });

  it("does not wait for a load balancer or another machine before it runs etcd and the control plane", async () => {
    const run = await runProgram(values);
    for (const step of run.ofType(command).filter(({ name }) => /^(machine|etcd|control-plane)@/.test(name))) {
      const machine = step.name.split("@")[1] as string;
      for (const dependency of run.names(step.dependencies)) {
        expect(dependency).not.toMatch(/^aws:lb/);
        const other = dependency.split("@")[1];
        if (other !== undefined) expect(other).toBe(machine);
      }
      for (const urn of step.dependencies) expect(urn).not.toMatch(/aws:lb\//);
    }
  });

  it("gives a machine few resources, and at most six commands", async () => {
    const run = await runProgram(values);
    for (const { name } of run.ofType(instance)) {
      const own = ofMachine(run, name).filter((resource) => !forAll(resource.name));
      expect(own.filter(({ type }) => type === command).length).toBeLessThanOrEqual(6);
      // A control-plane node also has its etcd member's pair, two more steps, and its place behind the load balancer.
      expect(own.length).toBeLessThanOrEqual(name.startsWith("controller") ? 16 : 12);
    }
  });

  it("can be previewed before anything exists, with every resource and the readable text of every step", async () => {
    const [preview, run] = [await runProgram(values, { preview: true }), await runProgram(values)];
    expect(preview.resources.map(({ type, name }) => `${type} ${name}`).sort()).toEqual(
      run.resources.map(({ type, name }) => `${type} ${name}`).sort(),
    );
    for (const { name, inputs } of preview.ofType(command)) {
      expect(inputs["create"]).toBe(run.get(command, name).inputs["create"]);
      expect(inputs["create"]).not.toContain(unknown);
    }
  });

  it("puts every resource into a component, and uses the explicit provider for AWS", async () => {
    const run = await runProgram(values);
    const [provider] = run.ofType("pulumi:providers:aws");
    for (const { type, name, parent, provider: of } of run.resources) {
      if (type.startsWith("aws:")) expect(of).toContain((provider as Registered).urn);
      if (/^(aws|tls|command):/.test(type)) expect(`${type} ${name} ${parent}`).toMatch(/\$?lab:(infra|bootstrap):/);
    }
  });
});

describe("the API endpoint", () => {
  it.each<[string, Record<string, unknown>, string]>([
    ["is the Elastic IP of one control-plane node", single, "https://203.0.113.10:6443"],
    ["is a load balancer's name for three", ha, "https://api-1.elb.ap-southeast-1.amazonaws.com:6443"],
    ["is the balancer's Elastic IP in the shape of the series", series, "https://203.0.113.10:6443"],
    ["is a private address if the administrator connects through the VPC", local, "https://10.0.1.11:6443"],
  ])("%s", async (_, values, expected) => {
    const run = await runProgram(values);
    expect(run.outputs["apiEndpoint"]).toBe(expected);
    expect(reveal(run.outputs["kubeconfig"])).toContain(`server: ${expected}\n`);
  });

  it("is in the API server's certificate, which does not wait for a load balancer", async () => {
    const { inputs } = (await runProgram(ha)).get("tls:index/certRequest:CertRequest", "kube-apiserver");
    expect(inputs["ipAddresses"]).toEqual(
      expect.arrayContaining(["203.0.113.10", "10.0.1.11", "10.0.2.12", "10.0.3.13", "10.32.0.1"]),
    );
    expect(inputs["dnsNames"]).toEqual(
      expect.arrayContaining(["*.elb.ap-southeast-1.amazonaws.com", "api.test.internal"]),
    );
  });

  it("for three nodes does not preserve client addresses, and checks the health of each target", async () => {
    const run = await runProgram({ ...ha, ...local });
    expect(run.get("aws:lb/targetGroup:TargetGroup", "api").inputs).toMatchObject({
      preserveClientIp: "false",
      healthCheck: { protocol: "HTTPS", path: "/readyz" },
    });
    const balancer = run.get("aws:lb/loadBalancer:LoadBalancer", "api").inputs;
    expect(balancer).toMatchObject({ internal: true, enableCrossZoneLoadBalancing: true });
    expect(balancer["subnetMappings"]).toMatchObject([
      { privateIpv4Address: "10.0.1.10" },
      { privateIpv4Address: "10.0.2.10" },
      { privateIpv4Address: "10.0.3.10" },
    ]);
    expect(run.ofType("aws:lb/targetGroupAttachment:TargetGroupAttachment")).toHaveLength(3);
  });

  it("moves with its Elastic IP to the machine that holds it", async () => {
    const association = "aws:ec2/eipAssociation:EipAssociation";
    const one = (await runProgram(single)).get(association, "api").inputs;
    expect(one).toMatchObject({ instanceId: "controller-0-id", allowReassociation: true });
    expect((await runProgram(series)).get(association, "api").inputs["instanceId"]).toBe("balancer-id");
  });

  it("keeps the certificate and the Elastic IP when one control-plane node becomes three", async () => {
    const [one, three] = [await runProgram({ zones: 3, apiEndpoint: "nlb" }), await runProgram(ha)];
    const names = (run: Run) => run.get("tls:index/certRequest:CertRequest", "kube-apiserver").inputs;
    expect(names(one)).toEqual(names(three));
    const urns = new Set(three.resources.map(({ urn }) => urn));
    expect(one.resources.filter(({ urn }) => !urns.has(urn)).map(({ name }) => name)).toEqual([]);
  });
});

it("adds the same number of resources for every worker", async () => {
  const [two, five] = [await runProgram(single), await runProgram({ workerCount: 5 })];
  expect(five.resources.length - two.resources.length).toBe(3 * ofMachine(two, "worker-1").length);
});

describe("a stage", () => {
  it.each([
    ["machines", ["container-runtime", "machine"]],
    ["control-plane", ["container-runtime", "control-plane", "departures", "etcd", "machine", "rbac"]],
  ])("%s ends with the steps of that stage", async (stage, expected) => {
    const run = await runProgram({ stage });
    expect([...new Set(run.ofType(command).map(({ name }) => name.split("@")[0]))].sort()).toEqual(expected);
  });
});

describe("certificates", () => {
  it("are renewed by the epoch, except CAs and the service-account pair", async () => {
    const run = await runProgram({ certificateEpoch: 3, encryptionKey }, { secretKeys: ["encryptionKey"] });
    const kept = run
      .ofType("tls:index/privateKey:PrivateKey")
      .filter(({ replacementTrigger }) => replacementTrigger !== 3)
      .map(({ name }) => name);
    expect(kept.sort()).toEqual([
      "cluster-signing",
      "controller-0-host",
      "encryption",
      "etcd-ca",
      "front-proxy-ca",
      "kubernetes-ca",
      "service-account",
      "ssh",
      "worker-0-host",
      "worker-1-host",
    ]);
    for (const { inputs, name } of run.ofType("tls:index/locallySignedCert:LocallySignedCert"))
      if (name !== "cluster-signing") expect(inputs).toMatchObject({ earlyRenewalHours: 0, validityPeriodHours: 8760 });
  });

  it("of machines are not CAs, and their expiry is an output", async () => {
    const run = await runProgram(ha);
    for (const { inputs, name } of run.ofType("tls:index/locallySignedCert:LocallySignedCert"))
      expect(plainText(inputs["allowedUses"]).includes("cert_signing")).toBe(name === "cluster-signing");
    const ends = run.outputs["certificateExpiry"] as Record<string, string>;
    expect(Object.keys(ends)).toEqual(
      expect.arrayContaining(["kube-apiserver", "etcd/controller-2", "kubelet/worker-1", "kubernetes-ca"]),
    );
    for (const end of Object.values(ends)) expect(Date.parse(end)).toBeGreaterThan(Date.now());
  });
});

describe("what the user provides", () => {
  it("can be an encryption key, which stays secret", async () => {
    const run = await runProgram({ certificateEpoch: 3, encryptionKey }, { secretKeys: ["encryptionKey"] });
    for (const { inputs } of run.resources) expect(plainText(inputs)).not.toContain(encryptionKey);
    // the key that it replaces could never be made again
    expect(run.resources.map(({ name }) => name)).toContain("encryption");
  });

  it("can be an EC2-compatible API, which changes the provider and nothing else", async () => {
    const [here, there] = [
      await runProgram(local),
      await runProgram({ ...local, awsEndpoint: "http://127.0.0.1:5001" }),
    ];
    const [provider] = there.ofType("pulumi:providers:aws");
    expect(provider?.inputs["endpoints"]).toContain("http://127.0.0.1:5001");
    const rest = (run: Run) =>
      run.resources
        .filter(({ type }) => type !== "pulumi:providers:aws")
        .map(({ urn, inputs }) => [urn, plainText(inputs)]);
    expect(new Map(rest(there) as [string, string][])).toEqual(new Map(rest(here) as [string, string][]));
  });

  it("cannot be an EC2-compatible API together with an AWS profile of the shell, which would be loaded all the same", async () => {
    const values = { ...local, awsEndpoint: "http://127.0.0.1:5001" };
    await expect(runProgram(values, { environment: { AWS_PROFILE: "employer" } })).rejects.toMatchObject({
      stdout: "",
      stderr: expect.stringMatching(/^AWS_PROFILE is employer, but .*unset AWS_PROFILE/s) as string,
    });
  });

  it("is rejected with all errors at once, before the first resource", async () => {
    const failed = runProgram({ controlPlaneCount: 2, adminCidr: "0.0.0.0/0", zone: 3 });
    await expect(failed).rejects.toMatchObject({ code: 3, stdout: "" });
    await expect(failed).rejects.toMatchObject({
      stderr: expect.stringMatching(/^The configuration of stack test has 3 errors/) as string,
    });
    await expect(failed).rejects.not.toMatchObject({ stderr: expect.stringMatching(/^\s+at /m) as string });
  });
});

describe("an update of a cluster that exists", () => {
  const runAgain = async (values: Readonly<Record<string, unknown>>, environment: Record<string, string> = {}) => {
    const { outputs } = await runProgram(single);
    return runProgram(values, { former: outputs, environment });
  };

  it("changes nothing if nothing changed", async () => {
    const run = await runAgain(single);
    expect(run.outputs["generation"]).toBe("1");
    expect(run.get(instance, "controller-0").ignoreChanges).toContain("ami");
  });

  it("registers nothing if the change would destroy it", async () => {
    await expect(runAgain({ vpcCidr: "10.9.0.0/16" })).rejects.toThrow(/vpcCidr\n +10\.0\.0\.0\/16 -> 10\.9\.0\.0\/16/);
    await expect(runAgain({ region: "eu-west-1" }, { LOSE_DATA: "yes" })).rejects.toThrow("region");
  });

  it("replaces every machine if its owner insists, and goes on with that if it is interrupted", async () => {
    const insisting = () => runAgain({ podCidr: "10.201.0.0/16" }, { LOSE_DATA: "yes" });
    const run = await insisting();
    const hostKey = run.get("tls:index/privateKey:PrivateKey", "worker-1-host");
    expect(hostKey.replacementTrigger).toBe(run.outputs["generation"]);
    expect(run.outputs["generation"]).toMatch(/^2-[0-9a-f]{12}$/);
    expect(run.get(instance, "worker-1").ignoreChanges).not.toContain("ami");
    expect((await insisting()).outputs["generation"]).toBe(run.outputs["generation"]);
  });

  /** Pairs of machines of which the second was registered before the engine was done with the first. */
  const together = (run: Run): string[] => {
    const instances = run.ofType(instance).sort((a, b) => a.began - b.began);
    return instances.slice(1).flatMap((each, index) => {
      const before = instances[index] as Registered;
      return each.began < before.ended ? [`${before.name} ${each.name}`] : [];
    });
  };

  it("restarts machines one after another, and creates them at the same time", async () => {
    const values = { ...ha, workerCount: 2 };
    const created = await runProgram(values);
    expect(together(created)).toHaveLength(4);
    const former = created.outputs;
    const run = await runProgram({ ...values, workerInstanceType: "t3.large", workerCount: 4 }, { former });
    const existing = ["controller-0", "controller-1", "controller-2", "worker-0", "worker-1"];
    const order = run
      .ofType(instance)
      .filter(({ name }) => existing.includes(name))
      .sort((a, b) => a.began - b.began);
    expect(order.map(({ name }) => name)).toEqual(existing);
    order.slice(1).forEach(({ began }, index) => expect(began).toBeGreaterThan(order[index]?.ended ?? Infinity));
    for (const worker of ["worker-2", "worker-3"])
      expect(run.get(instance, worker).began).toBeLessThan(order[0]?.ended ?? 0);
    // the order is not recorded, because machines are deleted at the same time, too
    expect(run.names(run.get(instance, "worker-1").dependencies)).not.toContain("worker-0");
  });

  it("surrounds every update of a machine that exists, and shows the new type in a preview", async () => {
    const { outputs: former } = await runProgram(single);
    const values = { ...single, workerCount: 3, workerInstanceType: "t3.large" };
    const preview = await runProgram(values, { former, preview: true });
    expect(preview.get(instance, "worker-1").inputs["instanceType"]).toBe("t3.large");
    const run = await runProgram(values, { former });
    for (const name of ["controller-0", "worker-0", "worker-1"]) expect(run.get(instance, name).hooks).toHaveLength(2);
    expect(run.get(instance, "worker-2").hooks).toEqual([]);
    expect(run.get(command, "nodes@controller-0").inputs["create"]).toContain("worker-1 worker 10.200.1.0/24 t3.large");
  });

  it("registers machines at the same time if no type changes", async () => {
    expect(together(await runAgain({ ...single, nodeLabels: '{"a":"b"}' }))).toHaveLength(2);
  });

  it("reaches machines of an earlier release with the key that they accept, until they accept the stack's", async () => {
    const { outputs } = await runProgram(single);
    const former = { ...outputs, settings: undefined, sshPrivateKey: "FORMER KEY" };
    const run = await runProgram({ ...single, workerCount: 3 }, { former });
    const key = (name: string) =>
      reveal((reveal(run.get(command, name).inputs["connection"]) as Record<string, unknown>)["privateKey"]);
    expect(key("machine@worker-0")).toBe("FORMER KEY");
    expect(key("machine@worker-2")).toBe("PRIVATE KEY ssh\n");
    expect(key("kubelet@worker-0")).toBe("PRIVATE KEY ssh\n");
  });
});

/** Configuration by variable and by file, which of them follow a change, and what etcd stores of a Secret. */
import { quote } from "../../lib/quote";
import { refusal } from "../framework/api";
import type { Bench } from "../framework/bench";
import { etcdctl, printable, registryKey } from "../framework/etcd";
import { atMost, contains, lacks, startsWith } from "../framework/expectation";
import type { Lab } from "../framework/lab";
import { isReady } from "../framework/states";

const password = "open-sesame";
const encrypted = "k8s:enc:secretbox:v1:";

async function experiment(bench: Bench): Promise<void> {
  const { api, namespace } = bench;
  const pods = await bench.watch("Pod");
  const inside = async (script: string): Promise<string> => (await bench.exec("consumer", "sh", "-c", script)).trim();
  const asVariables = () => inside("echo $COLOR $ALL_color");

  await bench.baseline("a pod consumes a ConfigMap and a Secret", async () => {
    await bench.apply("config.yaml");
    await bench.apply("consumer.yaml");
    await pods.until("the pod to be Ready", (items) => items.length === 1 && isReady(items[0]!), 60);
  });
  bench.claim("as one variable, and with all keys as variables", await asVariables(), "red red");
  bench.claim("on the command line", (await api.logs("consumer", namespace)).trim(), "started in red");
  bench.claim("as files", await inside("cat /settings/color /settings/page.txt"), "redversion one");
  bench.claim(
    "a Secret as a variable and as a file",
    await inside("echo $PASSWORD; cat /credentials/password"),
    `${password}\n${password}`,
  );
  bench.claim(
    "files from a Secret are in memory, not on disk",
    await inside("grep ' /credentials ' /proc/mounts | cut -d' ' -f3"),
    "tmpfs",
  );
  bench.claim(
    "the files are links through one directory that can be swapped in one step",
    await inside("readlink /settings/color"),
    "..data/color",
  );

  const changedAt = bench.timeline.now();
  await bench.disturb("the ConfigMap is changed", () =>
    api.patch("ConfigMap", "settings", namespace, { data: { color: "blue", "page.txt": "version two\n" } }),
  );
  await byTheApi(bench);
  await encryptionAtRest(bench); // the kubelet takes up to a minute, which is enough time to look into etcd
  await bench.observe("the files follow", () =>
    bench.until(
      "the mounted file to change",
      () => inside("cat /settings/page.txt"),
      (text) => text === "version two",
      120,
    ),
  );
  bench.claim(
    "seconds until the file changed (the kubelet's sync period is a minute)",
    Math.round(bench.timeline.now() - changedAt),
    atMost(120),
  );
  bench.claim("both keys changed together", await inside("cat /settings/color"), "blue");
  bench.claim("variables keep their old values", await asVariables(), "red red");
  bench.claim("so does the file mounted by subPath", await inside("cat /still/page.txt"), "version one");
  bench.claim(
    "and the pod was never restarted",
    pods.named("consumer")!.status.containerStatuses?.[0]?.restartCount,
    0,
  );

  await bench.observe("an immutable ConfigMap", async () => {
    const edited = await refusal(api.patch("ConfigMap", "frozen", namespace, { data: { color: "black" } }));
    bench.claim(
      "its data cannot be changed",
      [edited?.status, edited?.message.includes("field is immutable when `immutable` is set")],
      [422, true],
    );
    const thawed = await refusal(api.patch("ConfigMap", "frozen", namespace, { immutable: null }));
    bench.claim("nor can it be made mutable again", thawed?.status, 422);
  });
}

/** The fourth way: a program queries the API with its pod's token. It needs permission, and is never out of date. */
async function byTheApi(bench: Bench): Promise<void> {
  const { namespace } = bench;
  const token = await bench.exec("consumer", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token");
  const asThePod = bench.api.withToken(token.trim());
  try {
    const refused = await refusal(asThePod.get("ConfigMap", "settings", namespace));
    bench.claim(
      "through the API, with the pod's own token: forbidden at first",
      [refused?.status, refused?.reason],
      [403, "Forbidden"],
    );
    await bench.disturb("a Role lets the pod read this one ConfigMap", () => bench.apply("reader.yaml"));
    const read = await bench.until(
      "the API server to apply the Role",
      () => asThePod.get("ConfigMap", "settings", namespace),
      (map) => map.data !== undefined,
      10,
    );
    bench.claim("then it reads the new value immediately", read.data?.["color"], "blue");
    const secret = await refusal(asThePod.get("Secret", "credentials", namespace));
    bench.claim("and nothing else", secret?.status, 403);
  } finally {
    asThePod.close();
  }
}

/** base64 is an encoding; what protects a Secret is the API server's encryption before it writes to etcd. */
async function encryptionAtRest(bench: Bench): Promise<void> {
  const { api, namespace, etcd } = bench;
  const key = registryKey("secrets", namespace, "credentials");
  const value = async (): Promise<string> => printable((await etcd.get(key))?.value ?? Buffer.alloc(0));

  const secret = await api.get("Secret", "credentials", namespace);
  const encoded = secret.data!["password"]!;
  bench.claim("base64 is not encryption: anyone can decode it", Buffer.from(encoded, "base64").toString(), password);

  const stored = await bench.observe("the Secret and the ConfigMap in etcd", async () => ({
    secret: await value(),
    map: printable((await etcd.get(registryKey("configmaps", namespace, "settings")))?.value ?? Buffer.alloc(0)),
  }));
  bench.claim(
    "the Secret's value is encrypted, and names the provider",
    stored.secret.slice(0, 40),
    startsWith(encrypted),
  );
  bench.claim("the password is not in it", stored.secret, lacks(password));
  bench.claim("nor its base64", stored.secret, lacks(encoded));
  bench.claim("nor even its name", stored.secret, lacks("credentials"));
  bench.claim("a ConfigMap is stored in plain text", stored.map, contains("version two"));
  const secrets = Object.entries(await etcd.values("/registry/secrets/"));
  bench.claim(
    `of all ${secrets.length} Secrets in the cluster, those that are not encrypted`,
    secrets.filter(([, text]) => !text.startsWith(encrypted)).map(([name]) => name),
    [],
  );

  // What etcd would store for this Secret without encryption: the bytes that the API returns as protobuf.
  await bench.disturb("an old plaintext value is put into etcd behind the API server's back", async () => {
    const node = etcd.member;
    const path = `/api/v1/namespaces/${namespace}/secrets/credentials`;
    const plain = await api.bytes(path, "application/vnd.kubernetes.protobuf");
    await bench.nodes.output(node, `base64 -d | ${etcdctl(`put ${quote(key)}`)}`, { input: plain.toString("base64") });
  });
  bench.claim("etcd now shows the password to anyone who reads its disk", await value(), contains(password));
  const read = await bench.until(
    "the API server to see it",
    () => api.get("Secret", "credentials", namespace),
    (now) => now.metadata.resourceVersion !== secret.metadata.resourceVersion,
    15,
  );
  bench.claim(
    "the API still reads it: the last provider accepts plaintext",
    Buffer.from(read.data!["password"]!, "base64").toString(),
    password,
  );
  await bench.disturb("it is written again, unchanged", () =>
    api.replace({ ...read, apiVersion: "v1", kind: "Secret" }),
  );
  const after = await bench.observe("the value in etcd", value);
  bench.claim("writing it has encrypted it", after.slice(0, 40), startsWith(encrypted));
  bench.claim("and the plain text is gone", after, lacks(password));
}

export default {
  name: "configmap-secret",
  title: "ConfigMap and Secret",
  part: "VI · Configuration and resources",
  hypothesis:
    "Files from a ConfigMap follow its changes within about a minute; variables, arguments and subPath files keep the values they started with. A Secret is only base64 in the API; in etcd it is encrypted, because this cluster turns that on, and an old plaintext value is encrypted when it is next written.",
  needs: ["nodes"],
  experiment,
} satisfies Lab;

/** The shell library, run by a real bash against a real HTTP server. */
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";

const scripts = join(__dirname, "../../../bootstrap/scripts/lib");
const tools = join(__dirname, "../../../bootstrap/scripts/tools");
const sha256 = (content: string): string => createHash("sha256").update(content).digest("hex");

/** The origin of the release files: its content can be changed, and every request is recorded. */
const served = new Map<string, string | (() => string)>();
let requests: string[] = [];
let server: Server;
let mirror: string;
let folder: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request.url ?? "");
    const content = served.get(request.url ?? "");
    response.statusCode = content === undefined ? 404 : 200;
    response.end(typeof content === "function" ? content() : content);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "library-"));
  requests = [];
  served.clear();
  cpSync(scripts, join(folder, "lib"), { recursive: true });
  cpSync(tools, join(folder, "lib"), { recursive: true }); // on a machine, they are in the same directory
  const releases = join(folder, "lib", "releases.sh");
  writeFileSync(releases, readFileSync(releases, "utf8").replace("--retry 5 --retry-delay 1", "--retry 0"));
  mkdirSync(join(folder, "run/kubernetes-from-scratch"), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs commands as a step would, with the library loaded. */
function run(commands: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child: ChildProcess = spawn("bash", [
      "-c",
      `set -euo pipefail\nSTEP=test MIRROR=${mirror} ROOT=${folder}\n. ${folder}/lib/library.sh\n${commands}`,
    ]);
    let output = "";
    child.stdout?.on("data", (data: Buffer) => (output += data.toString()));
    child.stderr?.on("data", (data: Buffer) => (output += data.toString()));
    child.on("close", (code) => resolve({ code, output }));
  });
}

describe("fetch", () => {
  const url = "https://dl.example/release/v1/tool";
  const stored = () => join(folder, "var/lib/kubernetes-from-scratch/releases/dl.example/release/v1/tool");
  const path = "/dl.example/release/v1/tool";

  it("downloads a file once, and makes it executable", async () => {
    served.set(path, "tool").set(`${path}.sha256`, sha256("tool"));
    expect(await run(`fetch ${url} ${url}.sha256; echo "$REPLY"`)).toEqual({ code: 0, output: `${stored()}\n` });
    expect(statSync(stored()).mode & 0o777).toBe(0o755);
    await run(`fetch ${url} ${url}.sha256`);
    expect(requests).toEqual([`${path}.sha256`, path]);
  });

  it.each([
    ["a list of sums", () => `${sha256("other")}  other\n${sha256("tool")}  tool\n`],
    ["binary-mode sums", () => `${sha256("tool")} *tool\n`],
    ["a sum alone", () => `${sha256("tool")}\n`],
  ])("reads %s", async (_, sums) => {
    served.set(path, "tool").set("/dl.example/SUMS", sums());
    expect((await run(`fetch ${url} https://dl.example/SUMS`)).code).toBe(0);
  });

  it("downloads a file again that arrived damaged", async () => {
    let times = 0;
    served.set(path, () => (++times === 1 ? "to" : "tool")).set(`${path}.sha256`, sha256("tool"));
    const { code, output } = await run(`fetch ${url} ${url}.sha256`);
    expect(code).toBe(0);
    expect(output).toContain("does not have the published SHA-256");
    expect(readFileSync(stored(), "utf8")).toBe("tool");
  });

  it("rejects a file that never matches the published sum, and says so", async () => {
    served.set(path, "something else").set(`${path}.sha256`, sha256("tool"));
    const { code, output } = await run(`fetch ${url} ${url}.sha256`);
    expect(code).toBe(1);
    expect(output).toContain(
      `error: ${url}: downloaded three times, never with the published SHA-256 ${sha256("tool")}`,
    );
    expect(existsSync(stored())).toBe(false);
  });

  it("reports what it could not download", async () => {
    served.set(`${path}.sha256`, sha256("tool"));
    const { code, output } = await run(`fetch ${url} ${url}.sha256`);
    expect(code).toBe(1);
    expect(output).toContain(`cannot download ${mirror}${path}`);
  });

  it("uses the file that the image carries, after the same check", async () => {
    const carried = join(folder, "opt/releases", path);
    mkdirSync(dirname(carried), { recursive: true });
    writeFileSync(carried, "tool", { mode: 0o755 });
    writeFileSync(`${carried}.sha256`, sha256("tool"));
    expect(await run(`fetch ${url} ${url}.sha256; echo "$REPLY"`)).toEqual({
      code: 0,
      output: `${carried.replace("//", "/")}\n`,
    });
    expect(requests).toEqual([]);

    writeFileSync(carried, "damaged");
    served.set(path, "tool");
    expect(await run(`fetch ${url} ${url}.sha256; echo "$REPLY"`)).toEqual({ code: 0, output: `${stored()}\n` });
  });

  it("notices that a file has changed since it was checked", async () => {
    served.set(path, "tool").set(`${path}.sha256`, sha256("tool"));
    await run(`fetch ${url} ${url}.sha256`);
    writeFileSync(stored(), "evil");
    expect((await run(`fetch ${url} ${url}.sha256`)).code).toBe(0);
    expect(readFileSync(stored(), "utf8")).toBe("tool");
  });

  it("waits for another process that is downloading the same file", async () => {
    served.set(path, "tool").set(`${path}.sha256`, sha256("tool"));
    const both = await Promise.all([run(`fetch ${url} ${url}.sha256`), run(`fetch ${url} ${url}.sha256`)]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(requests.filter((request) => request === path)).toHaveLength(1);
  });
});

describe("put", () => {
  const me = `$(id -un):$(id -gn)`;

  it("writes a file with its mode at once, and leaves an identical file alone", async () => {
    const target = join(folder, "etc/secret");
    expect((await run(`put ${target} 0600 ${me} <<<one`)).output).toContain(`wrote ${target}`);
    expect(statSync(target).mode & 0o777).toBe(0o600);
    const before = statSync(target).ino;
    expect((await run(`put ${target} 0600 ${me} <<<one`)).output).toBe("");
    expect(statSync(target).ino).toBe(before);
    expect((await run(`put ${target} 0600 ${me} <<<two`)).output).toContain("wrote");
    expect(readFileSync(target, "utf8")).toBe("two\n");
  });

  it("restores a mode that somebody changed", async () => {
    const target = join(folder, "etc/secret");
    await run(`put ${target} 0600 ${me} <<<one; chmod 0644 ${target}; put ${target} 0600 ${me} <<<one`);
    expect(statSync(target).mode & 0o777).toBe(0o600);
  });
});

describe("wait_for", () => {
  it("ends as soon as the command succeeds", async () => {
    const { code, output } = await run(`n=0; third() { ((++n == 3)); }; wait_for 5 "the third time" third`);
    expect(code).toBe(0);
    expect(output).toMatch(/the third time/);
  });

  it("fails at its time limit and reports what it last tried", async () => {
    const { code, output } = await run("wait_for 1 'the impossible happens' false");
    expect(code).toBe(1);
    expect(output).toMatch(/error: timed out after 1 s waiting until the impossible happens \(last tried: false\)/);
  });
});

describe("a failure of wait_for", () => {
  it("shows what the command printed last", async () => {
    const { output } = await run(
      `refused() { echo "$((++n)) refused"; return 1; }; n=0; wait_for 1 "it works" refused`,
    );
    expect(output).toMatch(/\d refused\n.*error: timed out after 1 s waiting until it works/);
  });

  it("ends with the advice that was given for it", async () => {
    const advice = `way_out() { echo "do this"; }; advise way_out`;
    expect((await run(`${advice}; fail "no"`)).output).toMatch(/error: no\ndo this\n$/);
    expect((await run(`${advice}; advise; fail "no"`)).output).not.toContain("do this");
  });
});

describe("outside_block", () => {
  const [begin, end] = ["begin", "end"].map((mark) => `# ${mark} kubernetes-from-scratch`);
  const outside = async (...lines: (string | undefined)[]): Promise<string> => {
    writeFileSync(join(folder, "file"), `${lines.join("\n")}\n`);
    return (await run(`outside_block ${folder}/file $'ssh-ed25519 ours\\nssh-ed25519 theirs'`)).output;
  };

  it("leaves out the block, whatever is in it now", async () =>
    expect(await outside("x one", begin, "ssh-ed25519 former", "ssh-ed25519 ours", end, "x two")).toBe(
      "x one\nx two\n",
    ));

  it("does not swallow the lines of others if a mark is missing", async () => {
    expect(await outside("x one", begin, "ssh-ed25519 ours", "x two")).toBe("x one\nx two\n");
    expect(await outside("x one", "ssh-ed25519 ours", end, "x two")).toBe("x one\nssh-ed25519 ours\nx two\n");
    expect(await outside("x one", begin, "x two", begin, "ssh-ed25519 ours", end)).toBe("x one\nx two\n");
  });
});

describe("proves_well", () => {
  /** A systemctl that reports a state, and how often systemd has restarted the unit: a file with a number per call. */
  const systemctl = (state: string, restarts = "echo 0"): string =>
    `systemctl() { printf 'ActiveState=%s\nNRestarts=%s\n' ${state} "$(${restarts})"; }`;
  const slow = `n=0; slow() { ((++n == 3)); }`;

  it("does not call a unit unhealthy after a single attempt that failed", async () => {
    const { code } = await run(`${systemctl("active")}; ${slow}; proves_well 30 etcd.service slow`);
    expect(code).toBe(0);
  });

  it("waits for a member that is up but has no quorum yet, which systemd calls activating", async () => {
    const { code } = await run(`${systemctl("activating")}; ${slow}; proves_well 30 etcd.service slow`);
    expect(code).toBe(0);
  });

  it("does not wait for a unit that is not running", async () => {
    const { code, output } = await run(
      `${systemctl("failed")}; never() { echo tried >>${folder}/tries; false; }; proves_well 3000 etcd.service never || wc -l <${folder}/tries`,
    );
    expect([code, output.trim()]).toEqual([0, "1"]);
  });

  it("does not wait for a unit that keeps crashing", async () => {
    const count = `echo >>${folder}/calls; wc -l <${folder}/calls`;
    const { output } = await run(`${systemctl("active", count)}; proves_well 3000 etcd.service false || echo crashing`);
    expect(output).toBe("crashing\n");
  });

  it("gives up at its time limit", async () => {
    const { output } = await run(`${systemctl("active")}; proves_well 1 etcd.service false || echo unhealthy`);
    expect(output).toBe("unhealthy\n");
  });
});

describe("the turn", () => {
  const machine = `NODE_NAME=a CONTROLLERS=$'a 10.0.0.1\nb 10.0.0.2'`;
  /** An etcdctl for the lock. */
  const etcdctl = (body: string): string => {
    mkdirSync(join(folder, "bin"), { recursive: true });
    writeFileSync(join(folder, "bin/etcdctl"), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
    return `PATH=${folder}/bin:$PATH; ${machine}`;
  };

  it("is held until it is given back", async () => {
    const { output } = await run(
      `${etcdctl("echo lock/1; exec sleep 60")}; take_turn 10; has_turn && echo held; give_turn; has_turn || echo given`,
    );
    expect(output).toMatch(/holding lock\/1\nheld\ngiven\n$/);
  });

  it("is lost with the process that holds it", async () => {
    const { output } = await run(`${etcdctl("echo lock/1")}; take_turn 10; wait $TURN_PROCESS; has_turn || echo lost`);
    expect(output).toMatch(/lost\n$/);
  });

  it("cannot be had if the lock fails or takes too long", async () => {
    for (const body of ["exit 1", "exec sleep 60"])
      expect((await run(`${etcdctl(body)}; take_turn 1 || echo without`)).output).toBe("without\n");
  });

  it("is not used by the only control-plane machine", async () => {
    const { code } = await run(`NODE_NAME=a CONTROLLERS="a 10.0.0.1"; take_turn 1 && has_turn && give_turn`);
    expect(code).toBe(0);
  });

  it("is not taken before the others are healthy, and no restart follows if it got lost", async () => {
    const commands = `others() { echo "others $1"; }; in_turn etcd.service others; echo restart`;
    const lines = (await run(`${etcdctl("echo lock/1; exec sleep 60")}; ${commands}; give_turn`)).output;
    expect(lines).toMatch(/^others 180\n\S+ holding lock\/1\nothers 120\nrestart\n$/);
    const lost = await run(
      `${etcdctl("echo lock/1")}; others() { [ "$1" = 180 ] || wait $TURN_PROCESS; }; in_turn etcd.service others; echo restart`,
    );
    expect(lost.code).toBe(1);
    expect(lost.output).toContain("lost the restart lock");
    expect(lost.output).not.toMatch(/^restart$/m);
  });
});

describe("the encryption of Secrets", () => {
  const configuration = (): string => join(folder, "etc/kubernetes/encryption-config.yaml");
  const name = (secret: string): string => `key-${sha256(secret).slice(0, 12)}`;
  const stored = (key: string, path: string): string =>
    `/registry/secrets/${path}\n${key === "plain" ? "k8s\0\n\u0002v1" : `k8s:enc:secretbox:v1:${key}:`}\0\u0001\n\n \0\n`;
  /** Runs commands with the wanted key `new`, on machine a of `machines`, while etcd contains these values. */
  const encryption = (commands: string, etcd = "", machines = "a 10.0.0.1"): ReturnType<typeof run> => {
    writeFileSync(join(folder, "etcd"), etcd);
    return run(
      [
        `NODE_NAME=a CONTROLLERS=$'${machines}'; . ${folder}/lib/encryption.sh; KEY=$(named_key new)`,
        `etcdctl() { case "$*" in *" get "*) cat ${folder}/etcd ;; *) echo "etcdctl \${*:5}" ;; esac; }`,
        `pause() { SECONDS=$((SECONDS + 100)); }; report_keys() { echo "reports $(cut -d ' ' -f 1)"; }`,
        commands,
      ].join("\n"),
    );
  };

  it("encrypts with the first key, decrypts with all of them, and reads plain text", async () => {
    const { output } = await encryption(`printf '%s\\n' 'one MQ==' 'two Mg==' | configure_keys; configured_keys`);
    expect(output).toMatch(/\none MQ==\ntwo Mg==\n$/);
    expect(parse(readFileSync(configuration(), "utf8"))).toEqual({
      apiVersion: "apiserver.config.k8s.io/v1",
      kind: "EncryptionConfiguration",
      resources: [
        {
          resources: ["secrets"],
          providers: [
            {
              secretbox: {
                keys: [
                  { name: "one", secret: "MQ==" },
                  { name: "two", secret: "Mg==" },
                ],
              },
            },
            { identity: {} },
          ],
        },
      ],
    });
    expect(statSync(configuration()).mode & 0o777).toBe(0o600);
  });

  it("shows in etcd with which key", async () => {
    const etcd = stored("key1", "default/a") + stored("plain", "default/b") + stored(name("new"), "kube-system/c");
    const { output } = await encryption("encrypted_secrets; echo; stale_secrets", etcd);
    expect(output.split("\n")).toEqual([
      ...["key1 /registry/secrets/default/a", "plain /registry/secrets/default/b"],
      ...[`${name("new")} /registry/secrets/kube-system/c`, ""],
      ...["/registry/secrets/default/a", "/registry/secrets/default/b", ""],
    ]);
  });

  it("adds a new key behind the present one, once", async () => {
    const { output } = await encryption("configure_keys <<<'key1 b2xk'; admit_key; admit_key; configured_keys");
    expect(output).toMatch(new RegExp(`\nkey1 b2xk\n${name("new")} new\n$`));
  });

  it("begins with the wanted key if there is nothing to read yet", async () => {
    const { output } = await encryption("admit_key; configured_keys");
    expect(output).toMatch(new RegExp(`\nreports ${name("new")}\n${name("new")} new\n$`));
  });

  it("does not begin before all Secrets can be read with it", async () => {
    const until = (commands: string, machines?: string): ReturnType<typeof run> =>
      encryption(commands, stored("key1", "default/a"), machines);
    const alone = await until("admit_key");
    expect(alone.code).toBe(1);
    expect(alone.output).toContain("1 Secrets are encrypted with another key");
    expect(existsSync(configuration())).toBe(false);
    const others = await until(`pause() { echo >${folder}/etcd; }; admit_key`, "a 10.0.0.1\\nb 10.0.0.2");
    expect(others.code).toBe(0);
    expect(others.output).toContain(`reports ${name("new")}\nwaiting\n`);
    expect(existsSync(configuration())).toBe(true);
  });

  it("knows what every API server has loaded", async () => {
    const machines = "a 10.0.0.1\\nb 10.0.0.2";
    const reported = (a: string, b: string): string => `kfs/a\n${a}\nkfs/b\n${b}\nkfs/gone\nkey1\n`;
    const decrypts = `loaded_everywhere "* new *" && echo yes`;
    const encrypts = `loaded_everywhere " new *" && echo yes`;
    expect((await encryption(decrypts, reported("old new", "new"), machines)).output).toBe("yes\n");
    expect((await encryption(encrypts, reported("new old", "new"), machines)).output).toBe("yes\n");
    expect((await encryption(encrypts, reported("new", "old new"), machines)).output).toBe("b has loaded old new\n");
    expect((await encryption(decrypts, reported("new", "newer"), machines)).output).toBe("b has loaded newer\n");
    expect((await encryption(decrypts, "kfs/a\nnew\n", machines)).output).toBe("b has loaded nothing\n");
  });

  it("knows which machine waits for the others to change it", async () => {
    const waits = async (reported: string): Promise<string> =>
      (await encryption("waits_for_key b && echo yes || echo no", `${reported}\n`)).output;
    expect(await waits("new waiting")).toBe("yes\n");
    expect(await waits("new")).toBe("no\n");
    expect(await waits("")).toBe("no\n");
  });

  it("does not change while Secrets would become unreadable, and names their keys", async () => {
    const etcd = stored("key-lost", "default/a") + stored("key1", "default/b") + stored("plain", "default/c");
    const { code, output } = await encryption("configure_keys <<<'key1 b2xk'; admit_key; change_key", etcd);
    expect(code).toBe(1);
    expect(output).toContain("Secrets are encrypted with keys that this cluster does not have: key-lost (1).");
  });

  it("has nothing to do if the wanted key is the only one", async () => {
    const { code, output } = await encryption('configure_keys <<<"$KEY"; admit_key; is_only_key && echo done');
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringMatching(/wrote .*\ndone\n$/) as string });
  });
});

describe("a control-plane machine without etcd data", () => {
  const record = (name: string): void => {
    mkdirSync(join(folder, "var/lib/kubernetes-from-scratch"), { recursive: true });
    writeFileSync(join(folder, "var/lib/kubernetes-from-scratch", name), "");
  };
  /** Decides, with what the other machines report: an answer per address, and the member list if they have a quorum. */
  const decide = (answers: readonly string[], list = ""): ReturnType<typeof run> =>
    run(
      [
        `NODE_NAME=a PRIVATE_IP=10.0.0.1 CLUSTER_NAME=lab`,
        `CONTROLLERS=$'a 10.0.0.1${answers.map((_, index) => `\\nm${index} 10.0.1.${index}`).join("")}'`,
        `. ${folder}/lib/etcd-data.sh; . ${folder}/lib/etcd-membership.sh; BEGIN=`,
        `announce() { echo "announces $1"; }; snapshot() { echo "snapshot before $1"; }`,
        `etcd_healthy() { :; }; others_do() { echo "does $*"; }; pause() { SECONDS=$((SECONDS + 20)); }`,
        `ask() { case $1 in ${answers.map((answer, index) => `10.0.1.${index}) echo '${answer}' ;;`).join(" ")} *) ;; esac; }`,
        `members() { ${list ? `echo '${list}'` : "return 1"}; }`,
        `decide; echo "begin $BEGIN"`,
      ].join("\n"),
    );
  const url = "https://10.0.0.1:2380";
  const initialId = createHash("sha1").update(`${url}lab`).digest("hex").slice(0, 16).replace(/^0+/, "");

  it.each([
    { what: "alone", answers: [] },
    { what: "among empty machines", answers: ["empty", "empty"] },
  ])("forms a new cluster: $what", async ({ answers }) => {
    expect((await decide(answers)).output).toMatch(/announces empty\n[^]*begin new\n$/);
  });

  it.each([
    { what: "alone", answers: [] },
    { what: "among empty machines", answers: ["empty", "empty"] },
    { what: "among machines that have lost theirs as well", answers: ["lost", "lost"] },
  ])("refuses if it had data: $what", async ({ answers }) => {
    for (const name of ["etcd-had-data", "kube-apiserver.service"]) {
      record(name);
      const { code, output } = await decide(answers);
      expect(code).toBe(1);
      if (answers.length) expect(output).toContain("announces lost");
      expect(output).toContain("refusing to form an etcd cluster");
      expect(output).toContain("There is no snapshot on this machine");
      expect(output).toContain("LOSE_DATA=yes make up");
      rmSync(join(folder, "var/lib/kubernetes-from-scratch", name));
    }
  });

  it("names the newest snapshot, and what to type", async () => {
    record("etcd-had-data");
    mkdirSync(join(folder, "var/lib/kubernetes-from-scratch/snapshots"));
    for (const day of ["24", "26", "25"]) record(`snapshots/etcd-202611${day}T000000Z.db`);
    expect((await decide([])).output).toMatch(/make restore .*SNAPSHOT=a:\/.*\/etcd-20261126T000000Z\.db/);
  });

  it("refuses if another machine has lost its data, although this one is new", async () => {
    const { code, output } = await decide(["lost", "empty"]);
    expect(code).toBe(1);
    expect(output).toContain("the data of 10.0.1.0 has got lost");
  });

  it("forms a new cluster if the user accepts that, although it had data", async () => {
    record("etcd-had-data");
    writeFileSync(join(folder, "run/kubernetes-from-scratch/lose-data"), "");
    expect((await decide([])).output).toMatch(/begin new\n$/);
  });

  it("joins a quorum if it had data, after a snapshot of the others", async () => {
    record("etcd-had-data");
    const { output } = await decide(["[]"], `1, started, m0, https://10.0.1.0:2380, https://10.0.1.0:2379, false`);
    expect(output).toMatch(/snapshot before a change of the members\n[^]*begin join\n$/);
  });

  it("starts as the initial member that a quorum expects", async () => {
    const { output } = await decide(["[]"], `${initialId}, started, a, ${url}, , false`);
    expect(output).toMatch(/begin new\n$/);
    expect(output).not.toContain("removing");
  });

  it("joins a restored cluster, which lists it under another id, in place of that member", async () => {
    const { output } = await decide(["[]"], `983581c221ccb8a, started, a, ${url}, , false`);
    expect(output).toMatch(/snapshot before[^]*removing the former member[^]*begin join\n$/);
  });
});

describe("snapshot-etcd.sh", () => {
  const snapshots = (): string[] =>
    readdirSync(join(folder, "var/lib/kubernetes-from-scratch/snapshots")).filter((name) => name.endsWith(".db"));
  /** Runs the tool with an etcdctl that saves some bytes, and an etcdutl that has an opinion about them. */
  const snapshot = (verdict = "exit 0", save = "echo data >$5"): ReturnType<typeof run> => {
    mkdirSync(join(folder, "bin"), { recursive: true });
    const etcdctl = `case "$*" in *status*) echo '[{"Status":{"dbSize":5}}]' ;; *save*) ${save} ;; esac`;
    for (const [name, body] of Object.entries({ etcdctl, etcdutl: verdict }))
      writeFileSync(join(folder, "bin", name), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
    return run(`PATH=${folder}/bin:$PATH ROOT=${folder} bash ${folder}/lib/snapshot-etcd.sh`);
  };

  it("prints the path of a file that only its owner can read", async () => {
    const { code, output } = await snapshot();
    expect(code).toBe(0);
    expect(statSync(output.trim()).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(output.trim())).mode & 0o777).toBe(0o700);
  });

  it("keeps eight, and none for longer than 14 days", async () => {
    const first = (await snapshot()).output.trim();
    for (let day = 1; day <= 9; day++) writeFileSync(join(dirname(first), `etcd-2020010${day}T000000.000Z.db`), "old");
    await snapshot();
    expect(snapshots()).toHaveLength(8);
    for (const name of snapshots())
      if (name.startsWith("etcd-2020")) utimesSync(join(dirname(first), name), new Date(0), new Date(0));
    await snapshot();
    expect(snapshots().filter((name) => name.startsWith("etcd-2020"))).toEqual([]);
  });

  it("fails and keeps nothing if the snapshot is damaged or cannot be saved", async () => {
    const damaged = await snapshot('echo "Error: integrity check failed"; exit 1');
    expect(damaged.code).toBe(1);
    expect(damaged.output).toContain("it is damaged: integrity check failed");
    const refused = await snapshot("exit 0", 'echo "Error: context deadline exceeded"; exit 1');
    expect(refused.output).toContain("context deadline exceeded");
    expect(snapshots()).toEqual([]);
  });

  it("stops the change that it was to precede", async () => {
    await snapshot("exit 1");
    const { code, output } = await run(
      `export PATH=${folder}/bin:$PATH ROOT; snapshot "the restart of etcd" 10.0.0.1; echo restarted`,
    );
    expect(code).toBe(1);
    expect(output).toContain("without a snapshot of etcd, the restart of etcd does not take place");
    expect(output).not.toMatch(/^restarted$/m);
  });
});

it("distinguishes a unit's inputs by content", async () => {
  const file = join(folder, "input");
  const { output } = await run(
    `echo a >${file}; fingerprint ${file}; echo b >${file}; fingerprint ${file}; echo a >${file}; fingerprint ${file} ${file}.absent`,
  );
  const [first, second, third] = output.trim().split("\n");
  expect(first).not.toBe(second);
  expect(third).toBe(first);
});

describe("a unit that is new to its service", () => {
  const unit = () => join(folder, "etc/systemd/system/api.service");
  const first = "[Service]\nExecStart=/bin/api \\\n  --one=1 \\\n  --two=2\n";
  const second = "[Service]\nExecStart=/bin/api \\\n  --one=1 \\\n  --two=2 \\\n  --three=3\n";
  const install = (text: string) => {
    mkdirSync(dirname(unit()), { recursive: true });
    writeFileSync(unit(), text);
  };

  it("is new only after another one has been proven", async () => {
    install(first);
    expect((await run(`is_new api.service || echo no`)).output).toBe("no\n");
    await run(`prove api.service`);
    expect((await run(`is_new api.service || echo no`)).output).toBe("no\n");
    install(second);
    expect((await run(`is_new api.service && new_lines api.service`)).output).toBe("--three=3\n");
  });

  it("gives way to the one that was proven", async () => {
    install(first);
    await run(`prove api.service`);
    install(second);
    await run(`put_back api.service; is_new api.service || echo the same`);
    expect(readFileSync(unit(), "utf8")).toBe(first);
  });

  it("leaves the proven one alone until it is proven itself", async () => {
    install(first);
    await run(`prove api.service`);
    install(second);
    await run(`prove api.service; put_back api.service`);
    expect(readFileSync(unit(), "utf8")).toBe(second);
  });

  it("is proven together with its configuration files, and gives way together with them", async () => {
    const file = "/etc/kubernetes/api.yaml";
    const configure = (text: string) => {
      mkdirSync(join(folder, "etc/kubernetes"), { recursive: true });
      writeFileSync(join(folder, file), text, { mode: 0o600 });
    };
    install(first);
    configure("users: none\n");
    await run(`prove api.service ${file}`);
    configure("users: some\n");
    const { output } = await run(
      `is_new api.service ${file} && new_lines api.service ${file}; is_new api.service || echo but not the unit`,
    );
    expect(output).toBe("users: some\nbut not the unit\n");
    await run(`put_back api.service ${file}`);
    expect(readFileSync(join(folder, file), "utf8")).toBe("users: none\n");
    expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
  });

  it("is blamed with the last lines in which its service says why it ended", async () => {
    const journal = [
      "Flag --a has been set",
      "E1126 09:00:00.0 run.go:72] bad file",
      "I1126 all is well",
      "Error: unknown flag",
    ];
    const { output } = await run(
      `journalctl() { printf '%s\\n' ${journal.map((line) => `'${line}'`).join(" ")}; }; last_errors api.service`,
    );
    expect(output).toBe("E1126 09:00:00.0 run.go:72] bad file\nError: unknown flag\n");
  });
});

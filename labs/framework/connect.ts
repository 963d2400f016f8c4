/** Opens a cluster for the labs, from a stack's files or from a kubeconfig alone. */
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Api } from "./api";
import type { Cluster, StackControl } from "./cluster";
import { tryRun } from "../../lib/run";
import { Etcd } from "./etcd";
import { Nodes } from "./nodes";

export interface Connection {
  readonly kubeconfig: string;
  /** Name of the stack; undefined if only a kubeconfig was given. */
  readonly stack?: string | undefined;
  readonly sshConfig?: string | undefined;
}

/** @throws Error if the API server does not respond. */
export async function connect({ kubeconfig, stack, sshConfig }: Connection): Promise<Cluster> {
  const api = Api.fromFile(kubeconfig);
  await api.request("GET", "/readyz").catch((error: unknown) => {
    throw new Error(`the API server in ${kubeconfig} does not respond: ${(error as Error).message}`);
  });
  const nodes = Nodes.of(sshConfig);
  const controller = nodes?.controllers[0];
  const kubectl = await findKubectl(dirname(kubeconfig));
  const control = stack ? stackControl(stack, dirname(kubeconfig)) : undefined;
  return {
    name: stack ?? api.config.getCurrentContext(),
    api,
    ...(nodes ? { nodes } : {}),
    ...(nodes && controller ? { etcd: new Etcd(nodes, controller) } : {}),
    ...(control ? { stack: control } : {}),
    ...(kubectl ? { kubectl: { path: kubectl, kubeconfig } } : {}),
    dir: stack ? dirname(kubeconfig) : join(".lab", "labs", api.config.getCurrentContext().replace(/[^\w.-]+/g, "_")),
  };
}

/** kubectl from the variable KUBECTL, from bin/ next to the kubeconfig (where `make up` puts it), or from the PATH. */
async function findKubectl(dir: string): Promise<string | undefined> {
  const named = process.env["KUBECTL"];
  for (const path of [...(named ? [named] : []), join(dir, "bin", "kubectl"), "kubectl"])
    if ((await tryRun(path, ["version", "--client"], { timeoutSeconds: 30 })).exitCode === 0) return path;
  return undefined;
}

/** The program behind `make up`. It is run, not imported: labs depend on nothing in tools/. */
const commandLine = join(__dirname, "..", "..", "tools", "cli.ts");

/**
 * `make up` with these values on top of the stack's own configuration. A separate process, so that its long output can
 * go to labs-up.log and Ctrl-C does not interrupt it halfway.
 */
const stackControl = (stack: string, dir: string): StackControl => ({
  set: async (config) => {
    const log = join(dir, "labs-up.log");
    const args = [commandLine, "up", "--stack", stack, "--values", JSON.stringify(config)];
    const { exitCode, all } = await tryRun("tsx", args, { timeoutSeconds: 900, detached: true });
    await writeFile(log, all, { mode: 0o600 });
    if (exitCode !== 0) {
      const tail = all.trim().split("\n").slice(-12).join("\n");
      throw new Error(
        `stack ${stack} could not be updated with ${JSON.stringify(config)} (full output in ${log}):\n${tail}`,
      );
    }
  },
});

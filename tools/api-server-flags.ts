/** Generates the table of kube-apiserver's flags from what the program itself says of them: `npm run flags`. */
import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { kubernetesVersions } from "../cluster/versions";
import { hostArchitecture } from "../lib/architecture";
import { cacheRoot } from "../lib/cache";
import { root } from "./places";

const path = join(root, "cluster/config/api-server-flags.json");

/** The newest kube-apiserver that the cache of release files holds for this machine; undefined if it holds none. */
export function cachedApiServer(): string | undefined {
  return kubernetesVersions
    .map((version) =>
      join(cacheRoot(), `releases/dl.k8s.io/release/${version}/bin/linux/${hostArchitecture}/kube-apiserver`),
    )
    .findLast((file) => existsSync(file));
}

/** What `kube-apiserver --help` prints. */
export const helpOf = (binary: string): string => execFileSync(binary, ["--help"], { encoding: "utf8" });

/** One flag: its name, its type ("bool" where the help names none), and its description. */
const flagLine = /^ {2,}(?:-\w, )?--([a-z][\w-]*)(?: (\S+))? {2,}(.*)$/gm;

/** The table, as the text of a JSON file, from what `kube-apiserver --help` prints. */
export function flagTable(help: string): string {
  const all = [...help.matchAll(flagLine)].map(([, name = "", type = "bool", description = ""]) => ({
    name,
    type,
    description,
  }));
  const flags = all.map(({ name, type }) => [name, type] as const);
  const deprecated = all.flatMap(({ name, description }) => {
    const advice = /\(DEPRECATED: (.+?)\.?\)/.exec(description)?.[1];
    return advice === undefined ? [] : [[name, `${advice}.`] as const];
  });
  const plugins = /^ +--enable-admission-plugins .*Comma-delimited list of admission plugins: ([^.]+)\./m.exec(help);
  const table = {
    flags: Object.fromEntries(flags.sort()),
    deprecated: Object.fromEntries(deprecated.sort()),
    admissionPlugins: plugins?.[1]?.split(", ") ?? [],
  };
  return `${JSON.stringify(table, undefined, 2)}\n`;
}

if (require.main === module) {
  const binary = cachedApiServer();
  if (binary === undefined) {
    console.error("The cache holds no kube-apiserver. `make up STACK=local` fetches it.");
    process.exitCode = 1;
  } else writeFileSync(path, flagTable(helpOf(binary)));
}

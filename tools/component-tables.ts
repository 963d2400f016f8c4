/**
 * Generates the tables of what Kubernetes' components can be configured with, from what they say of it themselves and from
 * the source of the kubelet's configuration: `npm run tables`.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { kubernetesVersions } from "../cluster/versions";
import { hostArchitecture } from "../lib/architecture";
import { cacheRoot } from "../lib/cache";
import { root } from "./places";

/** Where the tables are. */
export const tablesDirectory = join(root, "cluster/config/tables");

/** Components that are configured by flags. */
export const flagComponents = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] as const;
/** Components that have feature gates. */
export const gateComponents = [...flagComponents, "kubelet", "kube-proxy"] as const;
export type GateComponent = (typeof gateComponents)[number];

/** The newest version of a component that the cache of release files holds for this machine; undefined if it holds none. */
export function cachedProgram(name: GateComponent): string | undefined {
  return kubernetesVersions
    .map((version) => join(cacheRoot(), `releases/dl.k8s.io/release/${version}/bin/linux/${hostArchitecture}/${name}`))
    .findLast((file) => existsSync(file));
}

/** What `PROGRAM --help` prints. */
export const helpOf = (program: string): string => execFileSync(program, ["--help"], { encoding: "utf8" });

const asText = (table: unknown): string => `${JSON.stringify(table, undefined, 2)}\n`;

/** One flag: its name, its type ("bool" where the help names none), and its description. */
const flagLine = /^ {2,}(?:-\w, )?--([a-z][\w-]*)(?: (\S+))? {2,}(.*)$/gm;

/** The flags of a component, as the text of a JSON file, from its help. */
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
  return asText({
    flags: Object.fromEntries(flags.sort()),
    deprecated: Object.fromEntries(deprecated.sort()),
    ...(plugins?.[1] === undefined ? {} : { admissionPlugins: plugins[1].split(", ") }),
  });
}

/** The feature gates that can be set, and which components do not know some of them, from the helps of the components. */
export function gateTable(helps: Readonly<Record<string, string>>): string {
  const line = /\b([A-Z]\w+)=true\|false \([A-Z]+ - default=(?:true|false)\)/g;
  const known = Object.entries(helps).map(
    ([component, help]) => [component, new Set([...help.matchAll(line)].map(([, gate = ""]) => gate))] as const,
  );
  const gates = [...new Set(known.flatMap(([, its]) => [...its]))].sort();
  const unknown = known.map(([component, its]) => [component, gates.filter((gate) => !its.has(gate))] as const);
  return asText({ gates, unknown: Object.fromEntries(unknown.filter(([, those]) => those.length > 0)) });
}

/** How JSON has a type of Go. */
function jsonType(type: string, source: string): string {
  const plain = type.replace(/^\*/, "");
  if (plain.startsWith("[]")) return "list";
  if (plain === "bool" || plain === "string") return plain;
  if (/^u?int\d*$/.test(plain)) return "integer";
  if (/^float\d+$/.test(plain)) return "number";
  if (plain === "metav1.Duration") return "duration";
  return new RegExp(`^type ${plain} string$`, "m").test(source) ? "string" : "map";
}

/** The fields of the kubelet's configuration with their types, from the Go source of KubeletConfiguration. */
export function kubeletTable(source: string): string {
  const [, struct = ""] = /^type KubeletConfiguration struct \{\n([^]*?)^\}/m.exec(source) ?? [];
  const fields = [...struct.matchAll(/^\t\w+ +(\S+) +`json:"(\w+)/gm)].map(
    ([, type = "", name = ""]) => [name, jsonType(type, source)] as const,
  );
  return asText(Object.fromEntries(fields.sort()));
}

/** That source, if Go's module cache has it; it does once the kubelet was built here. */
export function kubeletSource(): string | undefined {
  const version = kubernetesVersions.at(-1)?.replace(/^v1\./, "v0.");
  const cache = execFileSync("go", ["env", "GOMODCACHE"], { encoding: "utf8" }).trim();
  const file = join(cache, `k8s.io/kubelet@${version}/config/v1beta1/types.go`);
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

if (require.main === module) {
  const helps = Object.fromEntries(
    gateComponents.map((name) => {
      const program = cachedProgram(name);
      if (program === undefined) throw new Error(`The cache holds no ${name}. \`make up STACK=local\` fetches it.`);
      return [name, helpOf(program)];
    }),
  );
  const write = (name: string, text: string): void => writeFileSync(join(tablesDirectory, `${name}.json`), text);
  for (const name of flagComponents) write(name, flagTable(helps[name] ?? ""));
  write("feature-gates", gateTable(helps));
  const source = kubeletSource();
  if (source === undefined)
    throw new Error("Go's module cache does not have the source of the kubelet's configuration.");
  write("kubelet", kubeletTable(source));
}

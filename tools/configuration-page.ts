/** Generates docs/configuration.md from Pulumi.yaml, so that the page cannot drift: `npm run docs`. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format, resolveConfig } from "prettier";
import { isMap, isScalar, parseDocument } from "yaml";
import { changeClasses, changes } from "../cluster/config/changes";
import { root } from "./places";

interface Entry {
  readonly type: string;
  readonly default: unknown;
  readonly description: string;
}

const path = join(root, "docs/configuration.md");

const introduction = `# Configuration

<!-- Generated from Pulumi.yaml by \`npm run docs\`. -->

\`\`\`console
$ pulumi config set workerCount 3 -s local
$ pulumi config set --path 'kubeReserved.cpu' 100m -s local
$ head -c 32 /dev/urandom | base64 | pulumi config set --secret encryptionKey -s local
$ make preview
\`\`\`

Values are stored in \`Pulumi.<stack>.yaml\`. All errors are reported together, before anything is created. The presets are
\`Pulumi.{dev,ha,series,local,local-ha}.yaml\`.

The column "change" says what a change does to a cluster that exists:

- **in place**: nothing restarts that serves the cluster's users, unless the column says so.
- **rolled**: machines, or what runs on them, restart one after another, while the others serve.
- **new clusters only**: refused by \`make up\`, \`pulumi up\` and \`pulumi preview\`, before anything is changed, because it
  would destroy the cluster. If its data may be lost, say so: \`LOSE_DATA=yes make up\` or \`LOSE_DATA=yes pulumi up\` replaces
  every machine. \`region\` and \`awsEndpoint\` cannot change even so; \`make down\` comes first.
`;

const cell = (text: string): string => text.replaceAll("|", "\\|");

function defaultOf({ type, default: value }: Entry): string {
  if (type === "object" || type === "array") return "";
  return value === "" ? "" : `\`${String(value)}\``;
}

function changeOf(key: string): string {
  const change = changes[key as keyof typeof changes] as (typeof changes)[keyof typeof changes] | undefined;
  if (!change) throw new Error(`${key} has no class of change: ${changeClasses.join(", ")}`);
  return change.note === undefined ? change.class : `${change.class}; ${change.note}`;
}

/** The page for a project file: a table for each group of keys, as its comments divide them. */
export async function configurationPage(projectFile: string): Promise<string> {
  const config = parseDocument(projectFile).get("config");
  if (!isMap(config)) throw new Error("Pulumi.yaml has no map `config`");
  const lines = [introduction];
  for (const { key, value } of config.items) {
    if (!isScalar(key) || !isMap(value)) throw new Error(`Pulumi.yaml: ${String(key)} is not described by a map`);
    // a comment before the first key of a map belongs to the map
    const comment = key.commentBefore ?? (key === config.items[0]?.key ? config.commentBefore : undefined);
    const group = /-{3} (.+?) -{3}/.exec(comment ?? "")?.[1];
    if (group)
      lines.push(`\n## ${group}\n`, "| key | type | default | change | meaning |", "| --- | --- | --- | --- | --- |");
    const entry = value.toJSON() as Entry;
    const columns = [`\`${String(key.value)}\``, entry.type, defaultOf(entry), changeOf(String(key.value))];
    lines.push(`| ${columns.join(" | ")} | ${cell(entry.description)} |`);
  }
  return format(lines.join("\n"), { ...(await resolveConfig(path)), parser: "markdown" });
}

if (require.main === module)
  void configurationPage(readFileSync(join(root, "Pulumi.yaml"), "utf8")).then((page) => writeFileSync(path, page));

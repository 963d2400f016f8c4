/** Generates docs/configuration.md from Pulumi.yaml, so that the page cannot drift: `npm run docs`. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format, resolveConfig } from "prettier";
import { isMap, isScalar, parseDocument } from "yaml";
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
$ make preview
\`\`\`

Values are stored in \`Pulumi.<stack>.yaml\`. All errors are reported together, before anything is created. The presets are
\`Pulumi.{dev,ha,series,local,local-ha}.yaml\`.
`;

const cell = (text: string): string => text.replaceAll("|", "\\|");

function defaultOf({ type, default: value }: Entry): string {
  if (type === "object") return "";
  return value === "" ? "" : `\`${String(value)}\``;
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
    if (group) lines.push(`\n## ${group}\n`, "| key | type | default | meaning |", "| --- | --- | --- | --- |");
    const entry = value.toJSON() as Entry;
    lines.push(`| \`${String(key.value)}\` | ${entry.type} | ${defaultOf(entry)} | ${cell(entry.description)} |`);
  }
  return format(lines.join("\n"), { ...(await resolveConfig(path)), parser: "markdown" });
}

if (require.main === module)
  void configurationPage(readFileSync(join(root, "Pulumi.yaml"), "utf8")).then((page) => writeFileSync(path, page));

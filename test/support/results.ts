/** Keeps the results of the drills as a table in .lab/drills.md. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { labDir } from "../../tools/places";

const file = join(labDir, "drills.md");

/** Writes a row with the drill and its result, which replaces the earlier row of the same drill. */
export function record(drill: string, result: string): void {
  mkdirSync(labDir, { recursive: true });
  const earlier = existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(4, -1) : [];
  const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const rows = [...earlier.filter((row) => !row.startsWith(`| ${drill} |`)), `| ${drill} | ${result} |`];
  const head = `${new Date().toISOString().slice(0, 10)}, ${machine}\n\n| drill | result |\n| --- | --- |\n`;
  writeFileSync(file, `${head}${rows.join("\n")}\n`);
  console.log(`${drill}: ${result}`);
}

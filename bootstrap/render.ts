/** A step as text: the command to run over SSH, and its standard input. */
import type { FactKey, MaterialKey } from "../cluster/material";
import { quote } from "../lib/quote";
import type { SecretFile, StepFile } from "./files";
import { libraryDirectory, runtimeDirectory } from "./places";
import type { Step } from "./step";

/** Feeds a text to a command; the marker must not be a line of the text. */
function hereDocument(command: string, text: string, marker: string): string {
  if (text.split("\n").includes(marker))
    throw new Error(`a text contains the line ${marker}, which would end the here-document`);
  return `${command} <<'${marker}'\n${text.endsWith("\n") ? text : `${text}\n`}${marker}\n`;
}

/** Owner of a file as user:group. */
export const ownerOf = (file: StepFile | SecretFile): string => file.owner ?? "root:root";
const isLibrary = (file: StepFile): boolean => file.path.startsWith(`${libraryDirectory}/`);

/** What a step does once the library is installed: variables, files, script. */
function stepBody(step: Step): string {
  const variables = Object.entries(step.variables).map(([name, value]) => `${name}=${quote(value)}\n`);
  const files = step.files
    .filter((file) => !isLibrary(file))
    .map((file) => hereDocument(`put ${file.path} ${file.mode} ${ownerOf(file)}`, file.content, "END_OF_FILE"));
  return `${variables.join("")}${files.join("")}\n${withoutComments(step.script)}`;
}

/** Installs the library, without using its functions: each file under a temporary name, then renamed. May be empty. */
function libraryText(step: Step): string {
  const files = step.files
    .filter(isLibrary)
    .map(
      ({ path, mode, content }) =>
        hereDocument(`install -D -m ${mode} /dev/stdin ${path}.new`, withoutComments(content), "END_OF_FILE") +
        `mv -fT ${path}.new ${path}\n`,
    );
  return files.length > 0 ? `umask 022\nmkdir -p ${runtimeDirectory}\n${files.join("")}` : "";
}

/** A script without comments and blank lines. */
export const withoutComments = (script: string): string => script.replace(/^[ \t]*(#(?!!).*)?\n/gm, "");

/**
 * The command of a step, for the login shell of a user with sudo. It contains no secrets, which come on standard input.
 * Both sshd and sudo pass it as one argument, which Linux limits to 128 KiB, and the engine's state contains it twice.
 */
export function renderCommand(step: Step): string {
  const command = [
    "set -euo pipefail\n",
    libraryText(step),
    `umask 077\nmkdir -p ${runtimeDirectory}\n`,
    `text=$(mktemp ${runtimeDirectory}/${step.name}.XXXXXX)\n`,
    hereDocument('cat >"$text"', stepBody(step), "END_OF_STEP"),
    `exec bash ${libraryDirectory}/run-step.sh ${step.name} "$text"\n`,
  ].join("");
  const text = `sudo -n bash -c "$(${hereDocument("cat", command, "END_OF_COMMAND")})"`;
  if (Buffer.byteLength(text) >= 128 * 1024) throw new Error(`the command of ${step.name} is longer than 128 KiB`);
  return text;
}

/** Key of something that a step gets on its standard input. */
export type InputKey = MaterialKey | FactKey;

/** Keys of everything that a step gets on its standard input. */
export const inputKeys = (step: Step): InputKey[] => [
  ...step.secrets.map(({ source }) => source),
  ...Object.values(step.facts),
];

/** Standard input of a step's command: its facts and secrets, one per line, in base64. */
export function renderStdin(step: Step, inputs: Readonly<Partial<Record<InputKey, string>>>): string {
  const base64 = (key: InputKey): string => {
    const content = inputs[key];
    if (content === undefined) throw new Error(`step ${step.id} lacks ${key}`);
    return Buffer.from(content, "utf8").toString("base64");
  };
  return [
    ...Object.entries(step.facts).map(([name, key]) => `fact ${name} ${base64(key)}\n`),
    ...step.secrets.map((file) => `file ${file.path} ${file.mode} ${ownerOf(file)} ${base64(file.source)}\n`),
  ].join("");
}

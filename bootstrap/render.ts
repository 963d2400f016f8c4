/** A step as text: the command that is run over SSH and what it gets on its standard input. */
import { libraryDirectory } from "./steps/machine";
import type { SecretFile, Step, StepFile } from "./step";

/** Content of a step's secrets and facts, by key. */
export type Material = Readonly<Record<string, string>>;

/** A string as the shell reads it, whatever is in it. */
const quote = (value: string): string => `'${value.replaceAll("'", `'\\''`)}'`;

/** Feeds a text to a command; the marker must not be a line of the text. */
function hereDocument(command: string, text: string, marker: string): string {
  if (text.split("\n").includes(marker)) throw new Error(`a text has the line ${marker}, which ends it`);
  return `${command} <<'${marker}'\n${text.endsWith("\n") ? text : `${text}\n`}${marker}\n`;
}

/** Owner of a file as user:group. */
const owner = (file: StepFile | SecretFile): string => file.owner ?? "root:root";
const isLibrary = (file: StepFile): boolean => file.path.startsWith(`${libraryDirectory}/`);

/** What a step does with the library at hand: variables, files, script. */
function stepBody(step: Step): string {
  const variables = Object.entries(step.variables).map(([name, value]) => `${name}=${quote(value)}\n`);
  const files = step.files
    .filter((file) => !isLibrary(file))
    .map((file) => hereDocument(`put ${file.path} ${file.mode} ${owner(file)}`, file.content, "END_OF_FILE"));
  return `${variables.join("")}${files.join("")}\n${step.script}`;
}

/** Installs the library, which comes before there is one: written under another name, then renamed. Empty without it. */
function libraryText(step: Step): string {
  const files = step.files
    .filter(isLibrary)
    .map(
      ({ path, mode, content }) =>
        hereDocument(`install -D -m ${mode} /dev/stdin ${path}.new`, content, "END_OF_FILE") +
        `mv -fT ${path}.new ${path}\n`,
    );
  return files.length > 0 ? `umask 022\nmkdir -p /run/kubernetes-from-scratch\n${files.join("")}` : "";
}

/** A shell script without the lines that only people read; those are in scripts/. */
const withoutComments = (script: string): string => script.replace(/^[ \t]*(#(?!!).*)?\n/gm, "");

/**
 * The command of a step, for the login shell of a user with sudo. Holds no secret: those come on standard input.
 * Both sshd and sudo pass it as one argument, which Linux limits to 128 KiB; the engine's state keeps it twice.
 */
export function renderCommand(step: Step): string {
  const lean: Step = {
    ...step,
    script: withoutComments(step.script),
    files: step.files.map((file) => (isLibrary(file) ? { ...file, content: withoutComments(file.content) } : file)),
  };
  const command = [
    "set -euo pipefail\n",
    libraryText(lean),
    "umask 077\nmkdir -p /run/kubernetes-from-scratch\n",
    `text=$(mktemp /run/kubernetes-from-scratch/${step.name}.XXXXXX)\n`,
    hereDocument('cat >"$text"', stepBody(lean), "END_OF_STEP"),
    `exec bash ${libraryDirectory}/run-step.sh ${step.name} "$text"\n`,
  ].join("");
  const text = `sudo -n bash -c "$(${hereDocument("cat", command, "END_OF_COMMAND")})"`;
  if (Buffer.byteLength(text) >= 128 * 1024) throw new Error(`the command of ${step.name} is longer than 128 KiB`);
  return text;
}

/** Keys of everything that a step must be given. */
export const materialKeys = (step: Step): string[] => [
  ...step.secrets.map(({ source }) => source),
  ...Object.values(step.facts),
];

/** Standard input of a step's command: its secrets and facts, one a line, in base64. */
export function renderStdin(step: Step, material: Material): string {
  const base64 = (key: string): string => {
    const content = material[key];
    if (content === undefined) throw new Error(`step ${step.name} on ${step.machine.name} lacks ${key}`);
    return Buffer.from(content, "utf8").toString("base64");
  };
  return [
    ...Object.entries(step.facts).map(([name, key]) => `fact ${name} ${base64(key)}\n`),
    ...step.secrets.map((file) => `file ${file.path} ${file.mode} ${owner(file)} ${base64(file.source)}\n`),
  ].join("");
}

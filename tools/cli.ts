/** The command line behind the Makefile: one command per target. */
import { parseArgs } from "node:util";
import { UserError } from "../lib/errors";
import {
  byHand,
  clean,
  conformance,
  down,
  env,
  image,
  kubeconfig,
  lab,
  labs,
  preview,
  refresh,
  restore,
  snapshot,
  status,
  up,
} from "./commands";
import type { Overrides } from "./stack-file";
import { parseValues } from "./values";
import { exitOnBrokenPipe } from "../lib/broken-pipe";

const usage = `usage: tsx tools/cli.ts COMMAND [--stack NAME]

  up|preview [--stage STAGE] [--values JSON] [-- PULUMI_ARGS...]
  refresh | down | status | snapshot | restore FILE | env | kubeconfig [FILE] | image [NAME] | clean | conformance | labs | lab [NAME] | by-hand

  --stack NAME   the stack of Pulumi.NAME.yaml (default: local)
  --stage STAGE  the stage to stop after, in this run only
  --values JSON  values on top of the stack's configuration, in this run only: '{"workerCount": 3}'
  --focus REGEXP for conformance: the specs whose names match
  --procs N      for conformance: how many specs run at the same time
  --file FILE    for image: an archive as \`docker save\` writes it`;

interface Options {
  readonly stack: string;
  readonly overrides: Overrides;
  /** An archive of images. */
  readonly file: string | undefined;
  readonly focus: string | undefined;
  readonly procs: string | undefined;
  /** Arguments after the command. */
  readonly rest: readonly string[];
}

const commands: Readonly<Record<string, (options: Options) => Promise<void>>> = {
  up: ({ stack, overrides, rest }) => up(stack, overrides, rest),
  preview: ({ stack, overrides, rest }) => preview(stack, overrides, rest),
  refresh: ({ stack }) => refresh(stack),
  down: ({ stack }) => down(stack),
  status: ({ stack }) => status(stack),
  snapshot: ({ stack }) => snapshot(stack),
  restore: ({ stack, rest }) => restore(stack, rest[0]),
  env: ({ stack }) => env(stack),
  kubeconfig: ({ stack, rest }) => kubeconfig(stack, rest[0]),
  image: ({ rest, file }) => image({ image: rest[0], file }),
  clean: () => clean(),
  conformance: ({ stack, focus, procs }) => conformance(stack, { focus, procs }),
  labs: ({ stack }) => labs(stack),
  lab: ({ stack, rest }) => lab(stack, rest[0]),
  "by-hand": ({ stack }) => byHand(stack),
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      stack: { type: "string", default: "local" },
      stage: { type: "string" },
      values: { type: "string" },
      file: { type: "string" },
      focus: { type: "string" },
      procs: { type: "string" },
    },
    allowPositionals: true,
  });
  const [name = "", ...rest] = positionals;
  const command = commands[name];
  if (!command) throw new UserError(usage);
  const overrides: Overrides = {
    ...(values.values === undefined ? {} : parseValues(values.values)),
    ...(values.stage ? { stage: values.stage } : {}),
  };
  if ((values.values ?? values.stage) !== undefined && name !== "up" && name !== "preview")
    throw new UserError(`${name} does not take --stage or --values.`, "Only up and preview do.");
  if (values.file !== undefined && name !== "image") throw new UserError(`${name} does not take --file.`);
  if ((values.focus ?? values.procs) !== undefined && name !== "conformance")
    throw new UserError(`${name} does not take --focus or --procs.`);
  const { stack, file, focus, procs } = values;
  await command({ stack, overrides, file, focus, procs, rest });
}

exitOnBrokenPipe();
main().catch((error: unknown) => {
  const isFault = error instanceof UserError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS");
  console.error(isFault ? `\n✗ ${(error as Error).message}` : error);
  process.exitCode = 1;
});

/** The command line behind the Makefile: one command a target. */
import { parseArgs } from "node:util";
import { UserError } from "../lib/errors";
import { byHand, clean, down, env, lab, labs, preview, refresh, status, up } from "./commands";

const usage =
  "usage: lab.ts up|preview|refresh|down|status|env|clean|labs|lab|by-hand [--stack NAME] [--stage STAGE] [ARGS]";

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { stack: { type: "string", default: "local" }, stage: { type: "string" } },
    allowPositionals: true,
  });
  const [command, ...rest] = positionals;
  const stack = values.stack;
  const overrides = values.stage ? { stage: values.stage } : {};
  switch (command) {
    case "up":
      return up(stack, overrides, rest);
    case "preview":
      return preview(stack, overrides, rest);
    case "refresh":
      return refresh(stack);
    case "down":
      return down(stack);
    case "status":
      return status(stack);
    case "env":
      return env(stack);
    case "clean":
      return clean();
    case "labs":
      return labs(stack);
    case "lab":
      return lab(stack, rest[0]);
    case "by-hand":
      return byHand(stack);
    default:
      throw new UserError(usage);
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof UserError ? `\n✗ ${error.message}` : error);
  process.exitCode = 1;
});

/**
 * tsx labs/framework/set-stack.ts STACK JSON: brings a stack to its own configuration with these values on top, as
 * `make up` would. A process of its own, so that its long output can go to a file and Ctrl-C does not cut it in half.
 */
import { up } from "../../tools/commands";

async function main([name, config]: readonly string[]): Promise<void> {
  if (!name || !config) throw new Error("usage: set-stack STACK JSON");
  await up(name, JSON.parse(config) as Record<string, unknown>, []);
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);

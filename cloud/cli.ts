import { cloudDown, cloudUp, UserError } from "./index";

async function main(): Promise<void> {
  const started = Date.now();
  const progress = (line: string): void =>
    console.log(`${((Date.now() - started) / 1000).toFixed(1).padStart(6)}s  ${line}`);
  const [command] = process.argv.slice(2);
  if (command === "up") await cloudUp({ progress });
  else if (command === "down") await cloudDown({ progress });
}
main().catch((error: unknown) => {
  console.error(error instanceof UserError ? error.message : error);
  process.exit(1);
});

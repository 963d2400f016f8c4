/** The hypervisor's process: `main.ts SETTINGS.json`. */
import { readFileSync } from "node:fs";
import { LABEL } from "../names";
import { OWN, connectTo } from "../container-engine";
import { EngineClock } from "../container-engine/clock";
import { apiEndpoint } from "../ec2-api";
import { Context, log } from "./context";
import { Api } from "./desired";
import { Hypervisor } from "./hypervisor";
import { Settings } from "./settings";

async function main(): Promise<void> {
  const settings = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as Settings;
  const context: Context = {
    ...settings,
    ownEngine: settings.engine === OWN,
    docker: connectTo(settings.engine),
    api: new Api(apiEndpoint(settings.cloud)),
    engine: new EngineClock(settings.engine),
  };
  log(`starting the hypervisor of cloud "${settings.cloud.name}" (label ${LABEL.cloud})`);
  await new Hypervisor(context).run();
}

process.stdout.on("error", () => undefined); // a log on a full disk loses lines, but the machines are still looked after
process.on("SIGTERM", () => process.exit(0)); // the next hypervisor finishes whatever is left undone
main().catch((error: unknown) => {
  log(`failed: ${(error as Error).stack}`);
  process.exit(1);
});

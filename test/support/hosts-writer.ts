/** Adds and removes a cloud's block in a hosts file, until it is killed: `hosts-writer.ts PLACES`. */
import { updateHostsFile } from "../../cloud/hypervisor/hosts-file";

async function main(): Promise<never> {
  const places = JSON.parse(process.argv[2]!) as Parameters<typeof updateHostsFile>[2];
  const names = [{ name: "api-1.elb.us-east-1.amazonaws.com", addresses: ["10.1.1.10", "10.1.2.10"] }];
  for (;;) {
    await updateHostsFile("lab", names, places);
    process.stdout.write(".");
    await updateHostsFile("lab", [], places);
  }
}

void main();

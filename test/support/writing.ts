/** Disturbs a cluster while a client writes to it. */
import { join } from "node:path";
import { stackDir } from "../../tools/places";
import { eventually, type TestCluster } from "./cluster";
import { Writer, type WriterReport } from "./writer";

/** Runs `disturb` while a client writes and reads through the API endpoint. */
export async function whileWriting(
  cluster: TestCluster,
  disturb: (writer: Writer) => Promise<void>,
  resource?: "configmaps" | "secrets",
): Promise<WriterReport> {
  await cluster.tryKubectl`create namespace writes`;
  const writer = new Writer(join(stackDir(cluster.at.stack), "kubeconfig"), "writes", 60, resource);
  writer.start();
  await until(writer, 10);
  let report: WriterReport;
  try {
    await disturb(writer);
    await until(writer, writer.count + 10);
  } finally {
    report = await writer.stop();
    await cluster.tryKubectl`delete namespace writes --wait=false`;
    await cluster.kubectl`wait --for=delete namespace/writes --timeout=120s`.catch(() => undefined);
  }
  return report;
}

/** Waits until this many of the client's writes are acknowledged. */
export async function until(writer: Writer, count: number, seconds = 120): Promise<void> {
  await eventually(`${count} acknowledged writes`, seconds, async () =>
    Promise.resolve(writer.count >= count ? { done: undefined } : { saw: String(writer.count) }),
  );
}

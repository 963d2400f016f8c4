/** Says what a long part does and how long it took: a line at its start, one every 30 s, one at its end. */

const seconds = (since: number): string => `${((Date.now() - since) / 1000).toFixed(1)} s`;

/**
 * Runs one part of a longer work and reports it on standard error, so that a command's own output stays clean.
 * @param label what is done, as "building etcd v3.6.16".
 */
export async function progress<T>(label: string, work: () => Promise<T>): Promise<T> {
  const start = Date.now();
  console.error(`  … ${label}`);
  const timer = setInterval(() => console.error(`  … ${label}: ${seconds(start)} so far`), 30_000);
  try {
    const result = await work();
    console.error(`  ✓ ${label} (${seconds(start)})`);
    return result;
  } catch (error) {
    console.error(`  ✗ ${label} (${seconds(start)})`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** Parses the output of busybox's nslookup. Pure. */

/**
 * Addresses of the names in a response, without the server's own (which comes first, with its port).
 * @param output such as "Server: 10.32.0.10\nAddress: 10.32.0.10:53\n\nName: db-0.db…\nAddress: 10.200.0.7".
 */
export function addressesIn(output: string): string[] {
  const answer = output
    .split(/^Name:/m)
    .slice(1)
    .join("\n");
  return [...answer.matchAll(/^Address(?: \d+)?:\s*([0-9a-fA-F.:]+)/gm)].map((match) => match[1]!).sort();
}

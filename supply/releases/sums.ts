/**
 * Finds a file's checksum in the text that its origin publishes: a single checksum, or lines of checksum and name,
 * whose name may begin with the `*` of binary mode. Other lines, such as those of a signature, are skipped. Pure.
 * @returns the SHA-256 in hexadecimal, or undefined if the file is not listed.
 */
export function publishedSum(text: string, file: string): string | undefined {
  for (const line of text.split("\n")) {
    const [sum = "", name] = line.trim().split(/\s+/);
    if (/^[0-9a-f]{64}$/i.test(sum) && (name === undefined || name.replace(/^\*/, "") === file))
      return sum.toLowerCase();
  }
  return undefined;
}

/**
 * The sum of a file in what an origin publishes: one sum alone, or lines of sum and name, where the name may carry the `*`
 * of binary mode; other lines, as those of a signature, are skipped. Pure.
 * @returns the SHA-256 in hexadecimal, or undefined where the file is not named.
 */
export function publishedSum(text: string, file: string): string | undefined {
  for (const line of text.split("\n")) {
    const [sum = "", name] = line.trim().split(/\s+/);
    if (/^[0-9a-f]{64}$/i.test(sum) && (name === undefined || name.replace(/^\*/, "") === file))
      return sum.toLowerCase();
  }
  return undefined;
}

/** What a reader of a configuration value says of one that is not valid. */

/** A problem with a value; thrown by a reader. */
export class Problem extends Error {
  constructor(
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }
}

/** Reads an object, which Pulumi passes as JSON. @throws Problem unless it is a map. */
export function json(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text || "{}");
  } catch {
    value = undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Problem(
      "is not a map of keys to values.",
      "Set one key at a time: pulumi config set --path 'kubeReserved.cpu' 100m",
    );
  return value as Record<string, unknown>;
}

/** Reads a list of texts, which Pulumi passes as JSON. @throws Problem unless it is one. */
export function list(text: string, example: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text || "[]");
  } catch {
    value = undefined;
  }
  if (!Array.isArray(value) || !value.every((each) => typeof each === "string"))
    throw new Problem("is not a list of texts.", `Set one at a time: ${example}`);
  return value;
}

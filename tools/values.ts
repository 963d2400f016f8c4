/** Values for one run, as the command line takes them. */
import { UserError } from "../lib/errors";
import type { Overrides } from "./stack-file";

/**
 * Reads the argument of --values. Pure.
 * @throws UserError if it is not a JSON object.
 */
export function parseValues(text: string): Overrides {
  const remedy = `Give a JSON object by configuration key: --values '{"workerCount": 3}'`;
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch (error) {
    throw new UserError(`--values is not valid JSON (${(error as Error).message}).`, remedy);
  }
  if (typeof values !== "object" || values === null || Array.isArray(values))
    throw new UserError(`--values is not a JSON object: ${text}.`, remedy);
  return values as Overrides;
}

/** Predictions: a plain value, or a condition in words. Pure. */
import { isDeepStrictEqual } from "node:util";

/** A condition on an observed value, with the words that the report shows. */
export interface Condition<T> {
  readonly text: string;
  readonly holds: (observed: T) => boolean;
}
export type Prediction<T> = T | Condition<T>;

const condition = <T>(text: string, holds: (observed: T) => boolean): Condition<T> => ({ text, holds });

export const atMost = (limit: number): Condition<number> => condition(`≤ ${limit}`, (n) => n <= limit);
export const atLeast = (limit: number): Condition<number> => condition(`≥ ${limit}`, (n) => n >= limit);
export const between = (low: number, high: number): Condition<number> =>
  condition(`${low} … ${high}`, (n) => n >= low && n <= high);
export const contains = (part: string): Condition<string> => condition(`contains “${part}”`, (s) => s.includes(part));
export const lacks = (part: string): Condition<string> =>
  condition(`does not contain “${part}”`, (s) => !s.includes(part));
export const startsWith = (head: string): Condition<string> =>
  condition(`starts with “${head}”`, (s) => s.startsWith(head));
export const matches = (pattern: RegExp): Condition<string> => condition(`matches ${pattern}`, (s) => pattern.test(s));
export const oneOf = <T>(...values: readonly T[]): Condition<T> =>
  condition(`one of ${values.map((v) => JSON.stringify(v)).join(", ")}`, (v) =>
    values.some((x) => isDeepStrictEqual(x, v)),
  );
export const otherThan = <T>(value: T): Condition<T> =>
  condition(`other than ${JSON.stringify(value)}`, (v) => !isDeepStrictEqual(v, value));
/** Any condition, in words. */
export const such = condition;

const isCondition = (value: unknown): value is Condition<unknown> =>
  typeof value === "object" && value !== null && typeof (value as Condition<unknown>).holds === "function";

/** A claim of the article, judged on this cluster. */
export interface Claim {
  readonly text: string;
  /** The predicted value as JSON, or the condition in words. */
  readonly predicted: unknown;
  readonly observed: unknown;
  readonly holds: boolean;
}

/** Compares what was observed with what was predicted; undefined becomes null, as in JSON. */
export function judge<T>(text: string, observed: T, predicted: Prediction<T>): Claim {
  const kept = typeof observed === "number" ? Math.round(observed * 1000) / 1000 : (observed ?? null);
  if (isCondition(predicted))
    return { text, predicted: predicted.text, observed: kept, holds: predicted.holds(observed) };
  return {
    text,
    predicted: predicted ?? null,
    observed: kept,
    holds: isDeepStrictEqual(plain(observed), plain(predicted)),
  };
}

/** Through JSON, so that undefined fields and class instances do not matter. */
const plain = (value: unknown): unknown => (value === undefined ? null : JSON.parse(JSON.stringify(value)));

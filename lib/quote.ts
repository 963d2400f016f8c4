/** Quoting for POSIX shells. */

/** The value as one single-quoted word, safe whatever it contains. */
export const quote = (value: string): string => `'${value.replaceAll("'", `'\\''`)}'`;

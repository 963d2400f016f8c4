/** Quoting for the shell. */

/** A string as one word of a shell command, whatever it contains. */
export const quote = (value: string): string => `'${value.replaceAll("'", `'\\''`)}'`;

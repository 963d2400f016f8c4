/** Quotes a value as one word of a shell command. */
export const quote = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`;

/** Command-line flags in a systemd unit. */

/**
 * A flag as a word of ExecStart. https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Command%20lines
 */
function flagWord(name: string, value: string): string {
  const escaped = value.replace(/[%$]/g, "$&$&").replace(/[\\"]/g, "\\$&");
  return /[\s"'\\;]/.test(value) ? `"--${name}=${escaped}"` : `--${name}=${escaped}`;
}

/** Sets flags of a unit's ExecStart: replaces those that it already has, and appends the others. */
export function withFlags(unit: string, flags: Readonly<Record<string, string>>): string {
  return Object.entries(flags).reduce((text, [name, value]) => {
    const word = flagWord(name, value);
    const line = new RegExp(`^  "?--${name}=.*?( \\\\)?$`, "m");
    if (line.test(text)) return text.replace(line, (_, more?: string) => `  ${word}${more ?? ""}`);
    const lines = text.split("\n");
    const last = lines.findLastIndex((candidate) => /^ {2}"?--/.test(candidate));
    lines.splice(last, 1, `${lines[last]} \\`, `  ${word}`);
    return lines.join("\n");
  }, unit);
}

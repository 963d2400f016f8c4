/** Command-line flags in a systemd unit. */

/** Sets flags of a unit's ExecStart: replaces those that it already has, and appends the others. */
export function withFlags(unit: string, flags: Readonly<Record<string, string>>): string {
  return Object.entries(flags).reduce((text, [name, value]) => {
    if (/[\s"'\\$%]/.test(value))
      throw new Error(`the value of --${name} contains a character that a unit file would not preserve: ${value}`);
    const line = new RegExp(`^  --${name}=.*?( \\\\)?$`, "m");
    if (line.test(text)) return text.replace(line, (_, more?: string) => `  --${name}=${value}${more ?? ""}`);
    const lines = text.split("\n");
    const last = lines.findLastIndex((candidate) => candidate.startsWith("  --"));
    lines.splice(last, 1, `${lines[last]} \\`, `  --${name}=${value}`);
    return lines.join("\n");
  }, unit);
}

/** Tables for the terminal. */

/** Formats rows of cells as lines of left-aligned columns, two spaces apart; no line ends in spaces. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const width = (column: number): number => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const line = (row: readonly string[]): string => row.map((cell, column) => cell.padEnd(width(column))).join("  ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
}

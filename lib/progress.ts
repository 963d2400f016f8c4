/**
 * Reports long-running work and its duration on standard error, so that a command's own output stays clean. A terminal
 * shows the elapsed time in a line at the bottom; elsewhere (a log, CI) a line is written at the start and
 * every 30 s. Both get a line at the end.
 */

/** Where progress is shown: process.stderr, or a test's substitute. */
export interface Screen {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

interface Part {
  readonly label: string;
  readonly start: number;
}

/** Milliseconds between two lines in a log, and between two updates of a terminal's line. */
const EVERY = { log: 30_000, terminal: 1000 } as const;

const CLEAR_LINE = "\r\x1b[2K";

const seconds = ({ start }: Part, digits: number): string => `${((Date.now() - start) / 1000).toFixed(digits)} s`;

/** The parts in progress on each screen, in the order in which they started. */
const inProgress = new Map<Screen, Set<Part>>();

/**
 * Runs one part of a longer task and reports it.
 * @param label what it does, such as "building etcd v3.6.16".
 */
export async function progress<T>(label: string, work: () => Promise<T>, screen: Screen = process.stderr): Promise<T> {
  const part: Part = { label, start: Date.now() };
  const parts = inProgress.get(screen) ?? new Set();
  inProgress.set(screen, parts.add(part));

  const show = (): unknown =>
    screen.isTTY ? draw(screen) : screen.write(`  … ${label}: ${seconds(part, 0)} so far\n`);
  if (screen.isTTY) draw(screen);
  else screen.write(`  … ${label}\n`);
  const timer = setInterval(show, screen.isTTY ? EVERY.terminal : EVERY.log);
  const end = (mark: string): void => {
    clearInterval(timer);
    parts.delete(part);
    screen.write(`${screen.isTTY ? CLEAR_LINE : ""}  ${mark} ${label} (${seconds(part, 1)})\n`);
    if (screen.isTTY) draw(screen);
  };
  try {
    const result = await work();
    end("✓");
    return result;
  } catch (error) {
    end("✗");
    throw error;
  }
}

/** Redraws the terminal's line: every part in progress with its time, truncated to the terminal's width. */
function draw(screen: Screen): void {
  const parts = [...(inProgress.get(screen) ?? [])].map((part) => `${part.label} ${seconds(part, 0)}`);
  const line = parts.length === 0 ? "" : `  … ${parts.join(" · ")}`;
  screen.write(CLEAR_LINE + line.slice(0, (screen.columns ?? 80) - 1));
}

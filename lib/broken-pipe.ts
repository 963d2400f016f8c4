/** What a command line does when its reader goes away, as in `make status | head`. */

/** Ends the process quietly once nobody reads its output any more. */
export function exitOnBrokenPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
}

/** Watches which machines of a cluster are down at the same time. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Address and port that are served while a machine is up, by name. */
export type Doors = Readonly<Record<string, readonly { readonly host: string; readonly port: number }[]>>;

export class Downtime {
  /** Every set of machines that were down at the same time, as sorted names. */
  readonly together = new Set<string>();
  private running = true;
  private readonly loop: Promise<void>;

  constructor(private readonly doors: Doors) {
    this.loop = this.watch();
  }

  async stop(): Promise<this> {
    this.running = false;
    await this.loop;
    return this;
  }

  /** The machines that were down at some moment. */
  get machines(): string[] {
    return [...new Set([...this.together].flatMap((names) => names.split(" ")))].sort();
  }

  private async watch(): Promise<void> {
    while (this.running) {
      const down = await Promise.all(
        Object.entries(this.doors).map(async ([name, doors]) => {
          const open = await Promise.all(doors.map(({ host, port }) => isOpen(host, port)));
          return open.every(Boolean) ? [] : [name];
        }),
      );
      const names = down.flat().sort().join(" ");
      if (names !== "") this.together.add(names);
      await sleep(100);
    }
  }
}

/** Whether a connection is accepted within a second; a machine that is busy gets a second try. */
async function isOpen(host: string, port: number): Promise<boolean> {
  return (await accepts(host, port)) || accepts(host, port);
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (open: boolean): void => {
      socket.destroy();
      resolve(open);
    };
    socket.setTimeout(1000, () => end(false));
    socket.once("connect", () => end(true)).once("error", () => end(false));
  });
}

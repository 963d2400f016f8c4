/** A command on a machine over SSH that is talked to while it runs. */
import type { Client, ClientChannel } from "ssh2";

/** How a machine is reached. */
export interface Host {
  readonly address: string;
  /** 22 by default. */
  readonly port?: number;
  /** Public host key in OpenSSH's one-line form. */
  readonly hostKey: string;
  readonly user: string;
  /** Private keys; it accepts at least one of them. */
  readonly privateKeys: readonly string[];
}

/** The connection could not be opened, or broke before the command ended. */
export class Disconnected extends Error {}

export class Session {
  private output = "";
  private isOver = false;
  private readonly waiting = new Set<() => void>();
  /** Exit code of the command; undefined if the connection broke. */
  readonly exitCode: Promise<number | undefined>;

  private constructor(
    private readonly client: Client,
    channel: ClientChannel,
  ) {
    channel.on("data", (data: Buffer) => {
      this.output += data.toString();
      this.wake();
    });
    channel.stderr.resume();
    this.exitCode = new Promise((resolve) => {
      const end = (code: unknown): void => {
        this.isOver = true;
        resolve(typeof code === "number" ? code : undefined);
        this.wake();
        client.end();
      };
      channel.on("close", end);
      client.on("close", () => end(undefined));
    });
  }

  /** Connects, starts a command and passes it a first line of input. @throws Disconnected */
  static async start(host: Host, command: string, line: string): Promise<Session> {
    const client = await connect(host);
    return new Promise((resolve, reject) => {
      client.exec(command, (error, channel) => {
        if (error) {
          client.destroy();
          reject(new Disconnected(`${host.address}: ${error.message}`));
          return;
        }
        channel.on("error", () => undefined); // "close" follows
        resolve(new Session(client, channel));
        channel.write(`${line}\n`);
      });
    });
  }

  /** The lines that the command has printed so far. */
  get lines(): string[] {
    return this.output.split("\n");
  }

  /** Waits for a line that begins with a word, and returns the rest of it; undefined if the command ends before. */
  async until(word: string): Promise<string | undefined> {
    for (;;) {
      const complete = this.lines.slice(0, -1);
      const line = complete.find((candidate) => candidate === word || candidate.startsWith(`${word} `));
      if (line !== undefined) return line.slice(word.length + 1);
      if (this.isOver) return undefined;
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
  }

  /** Closes the connection; the command's input ends. */
  close(): void {
    this.client.end();
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }
}

async function connect({ address, port, hostKey, user, privateKeys }: Host): Promise<Client> {
  const { Client } = await import("ssh2"); // loading it takes time, and most updates do without
  const client = new Client();
  const expected = Buffer.from(hostKey.split(" ")[1] ?? "", "base64");
  return new Promise((resolve, reject) => {
    const fail = (error?: Error): void => {
      client.destroy();
      reject(new Disconnected(`${address}: ${error?.message ?? "the connection was closed"}`));
    };
    client.on("error", fail).on("close", () => fail());
    client.on("ready", () => {
      client.removeAllListeners("error").on("error", () => undefined); // "close" follows
      resolve(client);
    });
    client.connect({
      host: address,
      port,
      algorithms: { serverHostKey: ["ssh-ed25519"] },
      hostVerifier: (key: Buffer) => key.equals(expected),
      authHandler: privateKeys.map((key) => ({ type: "publickey" as const, username: user, key })),
      username: user,
      readyTimeout: 10_000,
      keepaliveInterval: 5_000,
      keepaliveCountMax: 4,
    });
  });
}

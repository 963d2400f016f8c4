/** A command on a machine over SSH. */
import { Client, ConnectConfig } from "ssh2";

/** The outcome of a command on a machine. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
}

/** How long a command may take, in milliseconds. */
const LIMIT = 30_000;

/** Runs a command as user admin. Rejects unless the command ran to its end. */
export function runOverSsh(machine: ConnectConfig, command: string): Promise<Outcome> {
  return new Promise((done, fail) => {
    const client = new Client();
    client.on("error", fail);
    const deadline = setTimeout(() => {
      client.destroy();
      fail(new Error(`${command} on ${machine.host} did not finish within ${LIMIT / 1000} s`));
    }, LIMIT);
    // An sshd that is shut down during the handshake closes the connection cleanly: "close" is then the only event.
    client.on("close", () => {
      clearTimeout(deadline);
      fail(new Error(`${machine.host} closed the connection before ${command} ended`));
    });
    client.on("ready", () => {
      client.exec(command, (error, stream) => {
        if (error) return fail(error);
        let stdout = "";
        stream.on("data", (data: Buffer) => (stdout += data.toString()));
        stream.stderr.resume();
        stream.on("close", (exitCode: number | null | undefined, signal?: string) => {
          client.end();
          if (typeof exitCode === "number") done({ exitCode, stdout: stdout.trim() });
          else fail(new Error(`${command} on ${machine.host} was ended by ${signal ?? "the end of its connection"}`));
        });
      });
    });
    client.connect({ username: "admin", readyTimeout: 5_000, ...machine });
  });
}

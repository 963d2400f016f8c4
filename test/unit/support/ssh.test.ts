/** A test that waits for a machine has to notice every lost connection, whenever it is lost. */
import { AddressInfo } from "node:net";
import { Connection, Server, utils } from "ssh2";
import { afterEach, describe, expect, it } from "vitest";
import { Outcome, runOverSsh } from "../../support/ssh";

const key = utils.generateKeyPairSync("ed25519").private;

/** How far the connection has got when sshd ends. */
type Moment = "handshake" | "authentication" | "login" | "command" | "output" | "never";

let server: Server;
afterEach(() => void server.close());

/** An sshd that hangs up at a given moment, as it does when its machine shuts down. */
function machineThatHangsUp(moment: Moment): Promise<number> {
  server = new Server({ hostKeys: [key] }, (connection: Connection) => {
    const reached = (now: Moment): boolean => (now === moment && connection.end(), now === moment);
    connection.on("error", () => undefined);
    connection.on("handshake", () => reached("handshake"));
    connection.on("authentication", (context) => {
      if (reached("authentication")) return;
      if (context.method === "publickey") context.accept();
      else context.reject();
    });
    connection.on("ready", () => reached("login"));
    connection.on("session", (accept) => {
      accept().on("exec", (run) => {
        if (reached("command")) return;
        const stream = run();
        stream.write("half of it", () => {
          if (reached("output")) return;
          stream.exit(3);
          stream.end();
        });
      });
    });
  });
  return new Promise((done) =>
    server.listen(0, "127.0.0.1", () => done((server.address() as unknown as AddressInfo).port)),
  );
}

const run = async (moment: Moment): Promise<Outcome> =>
  runOverSsh({ host: "127.0.0.1", port: await machineThatHangsUp(moment), privateKey: key }, "true");

describe("a command over SSH", () => {
  it("ends with the command's output and exit code", async () => {
    expect(await run("never")).toEqual({ exitCode: 3, stdout: "half of it" });
  });

  it.each(["handshake", "authentication", "login", "command", "output"] as const)(
    "fails at once if the machine hangs up at the %s",
    async (moment) => {
      await expect(run(moment)).rejects.toThrow();
    },
    5_000,
  );
});

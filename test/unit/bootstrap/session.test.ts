/** Sessions, against a real SSH server. */
import { spawn } from "node:child_process";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Connection, Server, utils } from "ssh2";
import { Disconnected, type Host, Session } from "../../../bootstrap/session";
import { newKey } from "../../support/world";

const [hostKey, userKey, otherKey] = [newKey(), newKey(), newKey()];
let server: Server;
let host: Host;
const connections = new Set<Connection>();

beforeEach(async () => {
  const accepted = utils.parseKey(userKey.public);
  if (accepted instanceof Error) throw accepted;
  server = new Server({ hostKeys: [hostKey.private] }, (connection) => {
    connections.add(connection);
    connection.on("error", () => undefined);
    connection.on("authentication", (context) => {
      const known = context.method === "publickey" && context.key.data.equals(accepted.getPublicSSH());
      return known ? context.accept() : context.reject(["publickey"]);
    });
    connection.on("session", (accept) =>
      accept().on("exec", (acceptExec, _reject, { command }) => {
        const channel = acceptExec();
        const child = spawn("bash", ["-c", command]);
        channel.pipe(child.stdin);
        child.stdout.on("data", (data) => channel.write(data));
        child.on("close", (code) => {
          channel.exit(code ?? 1);
          channel.end();
        });
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  host = {
    address: "127.0.0.1",
    port,
    hostKey: hostKey.public,
    user: "admin",
    privateKeys: [otherKey.private, userKey.private],
  };
});
afterEach(() => new Promise<void>((resolve) => server.close(() => resolve())));

it("is talked to while its command runs, with whichever key the machine accepts", async () => {
  const session = await Session.start(
    host,
    'read -r name; echo "hello $name"; echo ready 12; cat >/dev/null; echo end',
    "you",
  );
  expect(await session.until("ready")).toBe("12");
  expect(session.lines).toContain("hello you");
  session.close();
  await session.exitCode;
});

it("knows when a command has ended without saying what was waited for", async () => {
  const session = await Session.start(host, "echo readiness; exit 3", "");
  expect(await session.until("ready")).toBeUndefined();
  expect(await session.exitCode).toBe(3);
});

it("tells a broken connection from a command that failed", async () => {
  const session = await Session.start(host, "echo ready; sleep 60", "");
  expect(await session.until("ready")).toBe("");
  for (const connection of connections) connection.end();
  expect(await session.exitCode).toBeUndefined();
});

it("does not talk to a machine with another host key, or to none", async () => {
  await expect(Session.start({ ...host, hostKey: otherKey.public }, "true", "")).rejects.toThrow(Disconnected);
  await expect(Session.start({ ...host, port: 1 }, "true", "")).rejects.toThrow(Disconnected);
  await expect(Session.start({ ...host, privateKeys: [otherKey.private] }, "true", "")).rejects.toThrow(Disconnected);
});

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { reachable } from "../../../lib/reachable";

/** Asks a server of its own that answers with a status; and how often it was asked. */
async function asking(status: number): Promise<{ answer: boolean; again: boolean; requests: number }> {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests++;
    response.writeHead(status).end();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
  const answer = await reachable(url);
  const again = await reachable(`${url}/other`);
  server.close();
  return { answer, again, requests };
}

describe("a host is reachable", () => {
  it.each([200, 302, 401, 404])("when it answers %i; it is asked once", async (status) => {
    expect(await asking(status)).toEqual({ answer: true, again: true, requests: 1 });
  });

  it.each([403, 407, 451, 502, 503])("not when something on the way answers %i", async (status) => {
    expect((await asking(status)).answer).toBe(false);
  });

  it("not when its name is unknown, or nothing listens", async () => {
    expect(await reachable("https://nothing.invalid/")).toBe(false);
    expect(await reachable("http://127.0.0.1:1/")).toBe(false);
  });
});

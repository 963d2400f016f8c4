/** Which responses count as a reachable host. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { reachable } from "../../../lib/reachable";

/** Starts a server that always returns the status and tries it twice; counts the requests that it gets. */
async function trying(status: number): Promise<{ result: boolean; again: boolean; requests: number }> {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests++;
    response.writeHead(status).end();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
  const result = await reachable(url);
  const again = await reachable(`${url}/other`);
  server.close();
  return { result, again, requests };
}

describe("a host is reachable", () => {
  it.each([200, 302, 401, 404])("if it returns %i, and is tried once", async (status) => {
    expect(await trying(status)).toEqual({ result: true, again: true, requests: 1 });
  });

  it.each([403, 407, 451, 502, 503])("not if it or a proxy returns %i", async (status) => {
    expect((await trying(status)).result).toBe(false);
  });

  it("not if its name does not resolve, or nothing listens", async () => {
    expect(await reachable("https://nothing.invalid/")).toBe(false);
    expect(await reachable("http://127.0.0.1:1/")).toBe(false);
  });
});

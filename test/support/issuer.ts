/** An issuer of tokens (OpenID Connect), of which a machine of the cluster serves the two documents that a verifier reads. */
import { createSign, generateKeyPairSync } from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestCluster } from "./cluster";

const port = 8443;
const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

export class Issuer {
  readonly url: string;
  /** Of its server, self-signed, in PEM. */
  readonly certificate: string;
  private readonly serverKey: string;
  private readonly key = generateKeyPairSync("rsa", { modulusLength: 2048 });

  /** @param address at which the server is to be reached. */
  constructor(address: string) {
    this.url = `https://${address}:${port}`;
    const folder = mkdtempSync(join(tmpdir(), "kfs-issuer-"));
    const [cert, key] = [join(folder, "cert"), join(folder, "key")];
    const subject = ["-subj", "/CN=issuer", "-addext", `subjectAltName=IP:${address}`];
    const output = ["-keyout", key, "-out", cert];
    execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject, ...output], {
      stdio: "ignore",
    });
    this.certificate = readFileSync(cert, "utf8");
    this.serverKey = readFileSync(key, "utf8");
    rmSync(folder, { recursive: true });
  }

  /** A signed token that is valid for an hour. */
  token(claims: object): string {
    const now = Math.floor(Date.now() / 1000);
    const times = { iss: this.url, iat: now - 60, nbf: now - 60, exp: now + 3600 };
    const text = `${base64url({ alg: "RS256", kid: "key", typ: "JWT" })}.${base64url({ ...times, ...claims })}`;
    return `${text}.${createSign("RSA-SHA256").update(text).sign(this.key.privateKey, "base64url")}`;
  }

  /** Starts its server on a machine, until that restarts. */
  async serve(cluster: TestCluster, machine: string): Promise<void> {
    const discovery = {
      issuer: this.url,
      jwks_uri: `${this.url}/keys`,
      response_types_supported: ["id_token"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["RS256"],
    };
    const jwk = { ...this.key.publicKey.export({ format: "jwk" }), kid: "key", alg: "RS256", use: "sig" };
    const files = {
      ".well-known/openid-configuration": JSON.stringify(discovery),
      keys: JSON.stringify({ keys: [jwk] }),
      "server.pem": this.serverKey + this.certificate,
    };
    const commands = Object.entries(files).map(
      ([path, text]) =>
        `mkdir -p $(dirname ${path}) && echo ${Buffer.from(text).toString("base64")} | base64 -d >${path}`,
    );
    const server =
      "import http.server, ssl; c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain('server.pem'); " +
      `s = http.server.ThreadingHTTPServer(('', ${port}), http.server.SimpleHTTPRequestHandler); ` +
      "s.socket = c.wrap_socket(s.socket, server_side=True); s.serve_forever()";
    const run = `sudo systemd-run --quiet --unit=issuer --working-directory=$PWD python3 -c "${server}"`;
    await cluster.ssh(machine, ["mkdir -m 0700 issuer", "cd issuer", ...commands, run].join(" && "));
  }
}

/** Texts that the program renders, as snapshots. */
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { renderKubeconfig } from "../../../cluster/kubeconfig";
import { renderKnownHosts, renderSshConfig } from "../../../program/outputs";
import { renderUserData } from "../../../infra/user-data";

const hosts = [
  { name: "controller-0", address: "10.0.1.11", hostKey: "ssh-ed25519 AAAA" },
  { name: "worker-0", address: "198.51.100.7", hostKey: "ssh-ed25519 BBBB" },
];

describe("texts that the program renders", () => {
  it("kubeconfig", () => {
    const text = renderKubeconfig({
      cluster: "dev",
      server: "https://10.0.1.11:6443",
      user: "me",
      ca: "ca\n",
      cert: "cert\n",
      key: "key\n",
    });
    expect(text).toMatchSnapshot();
    expect((parse(text) as { users: unknown[] }).users).toHaveLength(1);
  });
  it("user data", () => {
    const privateKey = "-----BEGIN OPENSSH PRIVATE KEY-----\nline\n-----END OPENSSH PRIVATE KEY-----\n";
    const text = renderUserData({
      hostname: "worker-0",
      privateKey,
      publicKey: "ssh-ed25519 AAAA\n",
      authorizedKey: "ssh-ed25519 BBBB\n",
    });
    expect(text).toMatchSnapshot();
    const parsed = parse(text) as { ssh_keys: { ed25519_private: string }; ssh_authorized_keys: string[] };
    expect(parsed.ssh_authorized_keys).toEqual(["ssh-ed25519 BBBB"]);
    expect(parsed.ssh_keys.ed25519_private).toBe(privateKey);
  });
  it("ssh_config", () => expect(renderSshConfig(hosts)).toMatchSnapshot());
  it("known_hosts", () => expect(renderKnownHosts(hosts)).toMatchSnapshot());
});

/** Releases: published checksums, recipes, and the layout of the mirror and of archives. */
import { describe, expect, it } from "vitest";
import { kubernetesVersions, type ReleaseName, releases } from "../../../cluster/versions";
import { mirrorPath } from "../../../supply/releases";
import { componentOf } from "../../../supply/releases/recipes";
import { publishedSum } from "../../../supply/releases/sums";

const sum = "a".repeat(64);
const other = "b".repeat(64);

describe("publishedSum", () => {
  it.each([
    ["a single checksum, as dl.k8s.io publishes it", sum],
    ["a single checksum, with a newline", `${sum}\n`],
    ["a line with the name", `${sum}  runc.amd64\n`],
    ["a line in binary mode", `${sum} *runc.amd64\n`],
    ["one of several lines", `${other}  runc.arm64\n${sum}  runc.amd64\n`],
    ["upper case", `${sum.toUpperCase()}  runc.amd64\n`],
    [
      "lines in a signed message",
      `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n${other} *runc.arm64\n${sum} *runc.amd64\n-----BEGIN PGP SIGNATURE-----\n\niQIz\n-----END PGP SIGNATURE-----\n`,
    ],
  ])("reads %s", (_name, text) => {
    expect(publishedSum(text, "runc.amd64")).toBe(sum);
  });

  it.each([
    ["the checksum of another file", `${other}  runc.arm64\n`],
    ["an error page", "<html>Not Found</html>"],
    ["a checksum that is too short", "abc123"],
    ["empty text", ""],
  ])("rejects %s", (_name, text) => {
    expect(publishedSum(text, "runc.amd64")).toBeUndefined();
  });
});

describe("every release", () => {
  const architectures = ["amd64", "arm64"] as const;
  const all = architectures.flatMap((architecture) =>
    kubernetesVersions.flatMap((kubernetesVersion) =>
      Object.values(releases({ kubernetesVersion, etcdVersion: "v3.6.16" }, architecture)).map((release) => ({
        ...release,
        architecture,
      })),
    ),
  );

  it.each(all)("$url has the right architecture, a checksum and a recipe", ({ name, url, checksum, architecture }) => {
    expect(url).toMatch(/^https:\/\/(dl\.k8s\.io|github\.com)\//);
    expect(url).toContain(architecture);
    expect(new URL(checksum).host).toBe(new URL(url).host);
    const version = /\/(v\d+\.\d+\.\d+)\//.exec(url)?.[1] ?? "";
    const component = componentOf(name, version, architecture);
    expect(component.build.requires.every((module) => module.endsWith(`@${version}`))).toBe(true);
    expect(component.files[name]).toBeDefined();
  });

  it("is in the mirror by host and path", () => {
    const { kubelet } = releases({ kubernetesVersion: "v1.36.3", etcdVersion: "v3.6.16" }, "amd64");
    expect(mirrorPath(kubelet.url)).toBe("dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet");
  });
});

describe("a built archive has upstream's layout:", () => {
  const layouts: [ReleaseName, string, Record<string, string>][] = [
    ["etcd", "v3.6.16", { etcdctl: "etcd-v3.6.16-linux-amd64/etcdctl" }],
    [
      "containerd",
      "v2.2.9",
      { containerd: "bin/containerd", "containerd-shim-runc-v2": "bin/containerd-shim-runc-v2" },
    ],
    ["cni-plugins", "v1.9.1", { bridge: "./bridge", "host-local": "./host-local" }],
    ["crictl", "v1.36.0", { crictl: "crictl" }],
  ];
  it.each(layouts)("%s", (name, version, layout) => {
    expect(componentOf(name, version, "amd64").files[name]).toMatchObject(layout);
  });
});

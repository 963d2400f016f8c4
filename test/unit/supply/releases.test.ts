import { describe, expect, it } from "vitest";
import { kubernetesVersions, type ReleaseName, releases } from "../../../cluster/versions";
import { mirrorPath } from "../../../supply/releases";
import { componentOf } from "../../../supply/releases/recipes";
import { publishedSum } from "../../../supply/releases/sums";

const sum = "a".repeat(64);
const other = "b".repeat(64);

describe("publishedSum", () => {
  it.each([
    ["a sum alone, as dl.k8s.io publishes it", sum],
    ["a sum alone, with a newline", `${sum}\n`],
    ["a line with the name", `${sum}  runc.amd64\n`],
    ["a line of binary mode", `${sum} *runc.amd64\n`],
    ["one line of several", `${other}  runc.arm64\n${sum}  runc.amd64\n`],
    ["capitals", `${sum.toUpperCase()}  runc.amd64\n`],
    [
      "lines inside of a signature",
      `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n${other} *runc.arm64\n${sum} *runc.amd64\n-----BEGIN PGP SIGNATURE-----\n\niQIz\n-----END PGP SIGNATURE-----\n`,
    ],
  ])("reads %s", (_name, text) => {
    expect(publishedSum(text, "runc.amd64")).toBe(sum);
  });

  it.each([
    ["another file's", `${other}  runc.arm64\n`],
    ["a page that says that there is none", "<html>Not Found</html>"],
    ["a sum that is too short", "abc123"],
    ["nothing", ""],
  ])("does not take %s for it", (_name, text) => {
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

  it.each(all)("$url is of its architecture, verified, and has a recipe", ({ name, url, checksum, architecture }) => {
    expect(url).toMatch(/^https:\/\/(dl\.k8s\.io|github\.com)\//);
    expect(url).toContain(architecture);
    expect(new URL(checksum).host).toBe(new URL(url).host);
    const version = /\/(v\d+\.\d+\.\d+)\//.exec(url)?.[1] ?? "";
    const component = componentOf(name, version, architecture);
    expect(component.build.requires.every((module) => module.endsWith(`@${version}`))).toBe(true);
    expect(component.files[name]).toBeDefined();
  });

  it("lies in a mirror by host and path", () => {
    const { kubelet } = releases({ kubernetesVersion: "v1.36.3", etcdVersion: "v3.6.16" }, "amd64");
    expect(mirrorPath(kubelet.url)).toBe("dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet");
  });
});

describe("an archive that is built is laid out as upstream's:", () => {
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

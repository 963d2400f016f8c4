/** The images of Kubernetes' end-to-end tests, from the same programs and Debian's packages instead of Alpine's. */
import { appendFile, chmod, copyFile, mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { kubernetesVersions, versions } from "../../../cluster/versions";
import { type GoBuild, goBuild, moduleDirectory } from "../../go-build";
import { addBusybox, busyboxConfig, busyboxRecipe, extractPackages, installBusybox, linkProgram } from "./debian";
import { upstreamBusybox } from "./busybox";
import { corednsBuild } from "./programs";
import { type ImageRecipe, sameAs } from "./recipe";

/** The newest version's: what the tests of earlier ones do with an image, its image does as well. */
const kubernetes = `k8s.io/kubernetes@${kubernetesVersions.at(-1) ?? ""}`;
const imagesOf = async (): Promise<string> => join(await moduleDirectory(kubernetes), "test/images");

/** A test program of Kubernetes. */
const program = (name: string): GoBuild => ({
  requires: [kubernetes],
  replacesOf: { module: "k8s.io/kubernetes", version: kubernetes.replace(/^.*@v1/, "v0") },
  packages: [`k8s.io/kubernetes/test/images/${name}`],
});

/** For specs that let a pod serve names. */
const coredns = corednsBuild(`v${versions.coredns}`);

/** Debian's packages for what upstream's agnhost gets from Alpine. */
const tools = "base-files bash bind9-dnsutils curl iperf iproute2 libc-bin netcat-openbsd netbase util-linux".split(
  " ",
);

const debianPath = ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];

/** Users and groups that specs expect in agnhost. */
const agnhostAccounts = {
  "etc/passwd": "user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n",
  "etc/group": "user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n",
};

/** The version of which other tags are names, and from which other images are made. */
const agnhostImage = "registry.k8s.io/e2e-test-images/agnhost:2.63.0";

/** agnhost of any version: what an earlier one does, this one does as well. */
export const agnhost = (tag: string): ImageRecipe =>
  agnhostImage.endsWith(`:${tag}`) ? newestAgnhost() : sameAs(agnhostImage, newestAgnhost());

/** Says what the image is. A spec looks for the name of upstream's base in it. */
const osRelease = 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie), in the place of Alpine Linux"\n';

/** The programs and the files of agnhost, at the paths that specs use. */
function newestAgnhost(): ImageRecipe {
  const build = program("agnhost");
  return {
    recipe:
      JSON.stringify([build, tools, agnhostAccounts, coredns, "nc.openbsd", osRelease]) +
      upstreamBusybox.recipe +
      busyboxRecipe,
    config: { Entrypoint: ["/agnhost"], Cmd: ["pause"], Env: debianPath },
    build: async (root, scratch) => {
      await extractPackages("trixie", tools, root);
      await linkProgram("nc.openbsd", join(root, "usr/bin/nc")); // an alternative, which a script would set up
      await installBusybox(await upstreamBusybox.program(), root);
      await writeFile(join(root, "usr/lib/os-release"), osRelease);
      for (const [path, lines] of Object.entries(agnhostAccounts)) await appendFile(join(root, path), lines);
      await goBuild(build, root, join(scratch, "agnhost"));
      await goBuild(coredns, root, join(scratch, "coredns"));
      await symlink("agnhost", join(root, "agnhost-2"));
      await mkdir(join(root, "uploads"));
      for (const file of ["localhost.crt", "localhost.key"])
        await copyFile(join(await imagesOf(), "agnhost/porter", file), join(root, file));
    },
  };
}

/** agnhost with a page and its data. */
const agnhostWith = (name: "kitten" | "nautilus") => (): ImageRecipe => ({
  recipe: kubernetes,
  base: agnhostImage,
  config: { ...newestAgnhost().config, Cmd: ["test-webserver"] },
  build: async (root) => {
    for (const file of [`${name}.jpg`, "data.json"])
      await copyFile(join(await imagesOf(), name, "html", file), join(root, file));
  },
});
export const kitten = agnhostWith("kitten");
export const nautilus = agnhostWith("nautilus");

export const busyboxForTests = (): ImageRecipe => ({
  recipe: upstreamBusybox.recipe + busyboxRecipe,
  config: busyboxConfig,
  build: async (root) => installBusybox(await upstreamBusybox.program(), root),
});

/** Debian with glibc's resolver and dig. */
export function glibcDnsTesting(): ImageRecipe {
  const packages = "base-files bash bind9-dnsutils libc-bin netbase".split(" ");
  return {
    recipe: JSON.stringify([packages, coredns]) + upstreamBusybox.recipe + busyboxRecipe,
    config: { Cmd: ["bash"], Env: debianPath },
    build: async (root, scratch) => {
      await extractPackages("trixie", packages, root);
      await installBusybox(await upstreamBusybox.program(), root);
      await goBuild(coredns, root, join(scratch, "coredns"));
    },
  };
}

/** Prints its effective user, and has the set-user-ID bit. */
export function nonewprivs(): ImageRecipe {
  const build = program("nonewprivs");
  return {
    recipe: JSON.stringify(build) + busyboxRecipe,
    config: { Cmd: ["nnp"], Env: ["PATH=/usr/local/bin:/bin"] },
    build: async (root, scratch) => {
      await addBusybox("trixie", root, scratch);
      await goBuild(build, join(root, "usr/local/bin"), scratch);
      await rename(join(root, "usr/local/bin/nonewprivs"), join(root, "usr/local/bin/nnp"));
      await chmod(join(root, "usr/local/bin/nnp"), 0o6755);
    },
  };
}

export const nonroot = (): ImageRecipe => ({
  recipe: busyboxRecipe,
  config: { ...busyboxConfig, User: "1234" },
  build: (root, scratch) => addBusybox("trixie", root, scratch),
});

/** An aggregated API server. Upstream tags the image with the API's first version of Kubernetes. */
export function sampleApiserver(tag: string): ImageRecipe {
  const module = "k8s.io/sample-apiserver";
  const build: GoBuild = { requires: [`${module}@${tag.replace(/^1/, "v0")}`], packages: [module] };
  return {
    recipe: JSON.stringify(build),
    config: { Entrypoint: ["/sample-apiserver"] },
    build: (root, scratch) => goBuild(build, root, scratch),
  };
}

const nginxConfiguration = `user nobody nogroup;
worker_processes 1;
error_log /dev/stderr notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /dev/stdout;
  server {
    listen 80;
    root /usr/share/nginx/html;
    index index.html;
  }
}
`;
const nginxPage = "<!DOCTYPE html>\n<html><head><title>Welcome to nginx!</title></head><body>nginx</body></html>\n";

/** Debian's nginx, with its pages where nginx' own image has them. */
export function nginx(): ImageRecipe {
  const packages = "base-files bash nginx".split(" ");
  return {
    recipe: JSON.stringify([packages, nginxConfiguration, nginxPage]) + busyboxRecipe,
    config: { Cmd: ["nginx", "-g", "daemon off;"], Env: debianPath },
    build: async (root, scratch) => {
      await extractPackages("trixie", packages, root);
      await addBusybox("trixie", root, scratch);
      await appendFile(join(root, "etc/group"), "nogroup:x:65533:\n");
      await mkdir(join(root, "usr/share/nginx/html"), { recursive: true });
      await writeFile(join(root, "etc/nginx/nginx.conf"), nginxConfiguration);
      await writeFile(join(root, "usr/share/nginx/html/index.html"), nginxPage);
    },
  };
}

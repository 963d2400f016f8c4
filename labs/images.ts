/** The images that the labs and the tests use in addition to the cluster's own. The local cloud serves them. */
export const labImages = [
  "registry.k8s.io/e2e-test-images/agnhost:2.52",
  "registry.k8s.io/e2e-test-images/agnhost:2.53",
  "docker.io/library/busybox:1.35",
  "docker.io/library/busybox:1.37",
];

/** What specs of the conformance suite pull, without the tags, which belong to the suite's version. */
const conformanceImages = [
  "registry.k8s.io/pause",
  "registry.k8s.io/etcd",
  ...["agnhost", "busybox", "glibc-dns-testing", "kitten", "nautilus", "nginx", "nonewprivs", "sample-apiserver"].map(
    (name) => `registry.k8s.io/e2e-test-images/${name}`,
  ),
];

/**
 * The images of the conformance suite.
 * @param suite all that the suite's program lists, as it also has specs that do not belong to conformance.
 */
export const conformanceImagesOf = (suite: readonly string[]): string[] =>
  suite.filter((image) => conformanceImages.includes(image.replace(/:[^/]*$/, "")));

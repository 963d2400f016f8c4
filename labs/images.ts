/** The images that the labs and the tests use in addition to the cluster's own. The local cloud serves them. */
export const labImages = [
  "registry.k8s.io/e2e-test-images/agnhost:2.53",
  "docker.io/library/busybox:1.35",
  "docker.io/library/busybox:1.37",
];

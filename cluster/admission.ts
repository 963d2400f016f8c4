/** Admission plugins that every API server of the project enables beside those that Kubernetes enables by default. */

/** Plugin -> what it is there for, as a relative clause. */
export const ownAdmissionPlugins = {
  NodeRestriction: "limits a kubelet to its own node",
  EventRateLimit: "keeps a flood of events from filling etcd",
} as const;

/** The value of enable-admission-plugins: the project's own plugins and those that apiServerArgs adds. */
export const enabledPlugins = (added = ""): string =>
  [...new Set([...Object.keys(ownAdmissionPlugins), ...added.split(",").filter(Boolean)])].join(",");

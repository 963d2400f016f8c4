/**
 * The floors of the house. A folder may import from the floors below it, but not from its neighbours on the same floor
 * or from above, and imports must not be circular. Checked by `make check`; a test verifies that each rule takes effect.
 */

/** What each folder may import, in addition to itself and npm packages. */
const floors = {
  lib: [],
  cluster: [],
  infra: ["cluster"],
  bootstrap: ["cluster", "infra", "lib"],
  program: ["cluster", "infra", "bootstrap", "lib"],
  cloud: ["lib"],
  supply: ["lib", "cluster"],
  labs: ["lib"],
  tools: ["lib", "cluster", "bootstrap", "cloud", "supply", "labs"],
};
const folders = Object.keys(floors);

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    ...folders.map((folder) => ({
      name: `${folder}-imports-its-floors-only`,
      severity: "error",
      from: { path: `^${folder}/` },
      to: {
        path: `^(${[...folders, "test"].join("|")})/`,
        pathNot: `^(${[folder, ...floors[folder]].join("|")})/`,
      },
    })),
    {
      name: "no-circle-of-files",
      comment: "Types count: what two files share belongs in a third.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "cluster-is-pure",
      comment: "No file system, network, process, clock or engine: the specification is computed from values alone.",
      severity: "error",
      from: { path: "^cluster/" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "cluster-knows-no-engine",
      severity: "error",
      from: { path: "^cluster/" },
      to: { path: "node_modules/@pulumi/", pathNot: "node_modules/@pulumi/aws/types/enums" },
    },
    {
      name: "labs-enter-tools-by-the-command-line",
      comment:
        "Tools may import only the list of images from the labs. A lab that changes the stack runs tools/cli.ts.",
      severity: "error",
      from: { path: "^tools/" },
      to: { path: "^labs/", pathNot: "^labs/images\\.ts$" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^node_modules|\\.d\\.ts$" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
  },
};

import { defineConfig } from "vitest/config";

/** unit and program need nothing; labs needs a browser; supply builds plugins; cloud and e2e make machines on a local cloud of their own, one file after another. */
export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 30_000 } },
      { test: { name: "program", include: ["test/program/**/*.test.ts"], testTimeout: 60_000 } },
      { test: { name: "labs", include: ["test/labs/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 900_000 } },
      {
        test: {
          name: "supply",
          include: ["test/supply/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 900_000,
        },
      },
      {
        test: {
          name: "cloud",
          include: ["test/cloud/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 900_000,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          fileParallelism: false,
          bail: 3,
          testTimeout: 900_000,
          hookTimeout: 3_600_000,
        },
      },
      {
        test: {
          name: "drills",
          include: ["test/drills/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 1_800_000,
          hookTimeout: 3_600_000,
        },
      },
    ],
  },
});

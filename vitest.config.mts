/** The test projects; tools/test.ts decides which of them run, and in which order. */
import { defineConfig } from "vitest/config";

interface Options {
  readonly testTimeout: number;
  readonly hookTimeout?: number;
  /** Whether test files run at the same time; false for those that build something on this machine. */
  readonly fileParallelism?: boolean;
  readonly bail?: number;
  readonly globalSetup?: string;
}

const minutes = 60_000;

/** The project of the tests under test/NAME. */
const project = (name: string, options: Options) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], ...options },
});
const temporary = { globalSetup: "test/support/temporary.ts" };
const builds = (hookTimeout: number) => ({ fileParallelism: false, hookTimeout });

export default defineConfig({
  test: {
    projects: [
      project("unit", { testTimeout: 0.5 * minutes, ...temporary }),
      project("program", { testTimeout: 1 * minutes, ...temporary }), // the real program, against Pulumi's mocks
      project("labs", { testTimeout: 1 * minutes, hookTimeout: 15 * minutes }), // in a browser
      project("supply", { testTimeout: 5 * minutes, ...builds(15 * minutes) }), // Pulumi's providers
      project("cloud", { testTimeout: 5 * minutes, ...builds(15 * minutes) }), // machines on a local cloud
      project("e2e", { testTimeout: 15 * minutes, ...builds(60 * minutes), bail: 3 }), // clusters on a local cloud
      project("drills", { testTimeout: 30 * minutes, ...builds(60 * minutes) }), // clusters that break, for hours
    ],
  },
});

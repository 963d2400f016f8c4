/** Versions of Pulumi and its plugins, from package.json. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** The root of the checkout. */
export const checkout = resolve(__dirname, "../..");

const { dependencies } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as {
  dependencies: Readonly<Record<string, string>>;
};

/** The version of the npm package @pulumi/<name>, which is also that of the engine or plugin. */
export function sdkVersion(name: "pulumi" | Plugin): string {
  const version = dependencies[`@pulumi/${name}`];
  if (version === undefined || !/^\d/.test(version)) {
    throw new Error(`package.json does not pin a version of @pulumi/${name}`);
  }
  return version;
}

/** The provider plugins that the program uses. */
export const plugins = ["command", "tls", "aws"] as const;
export type Plugin = (typeof plugins)[number];

/**
 * The plugins that are built here against the npm packages that the program is written with: an input under another name
 * would be ignored in silence, and one of another kind refused at run time.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine } from "../../supply/pulumi";
import { type Plugin, plugins, sdkVersion } from "../../supply/pulumi/versions";
import { run } from "../../lib/run";
import { labDir } from "../../tools/places";
import { runProgram } from "../support/program";
import { Typings } from "./npm-typings";
import { type PackageSchema, schemaObject } from "./plugin-schema";
import { differences } from "./shape";

const home = join(labDir, "pulumi");
const schemas = {} as Record<Plugin, PackageSchema>;

beforeAll(async () => {
  const { binDir, environment } = await ensureEngine(home);
  for (const plugin of plugins) {
    const source = environment["PULUMI_HOME"]
      ? join(home, "plugins", `resource-${plugin}-v${sdkVersion(plugin)}`, `pulumi-resource-${plugin}`)
      : `${plugin}@${sdkVersion(plugin)}`;
    const env = { ...environment, PULUMI_SKIP_UPDATE_CHECK: "true" };
    schemas[plugin] = JSON.parse(
      await run(join(binDir, "pulumi"), ["package", "get-schema", source], { env }),
    ) as PackageSchema;
  }
});

describe.each(plugins)("the %s plugin", (plugin) => {
  it("describes its resources as npm does", () => {
    const typings = new Typings(plugin);
    const schema = schemas[plugin];
    const found = Object.entries(schema.resources).flatMap(([token, { inputProperties, properties }]) => [
      ...differences(`${token} in`, schemaObject(schema, inputProperties), typings.inputs(token)),
      ...differences(`${token} out`, schemaObject(schema, properties), typings.outputs(token)),
    ]);
    expect(found).toEqual([]);
    expect(Object.keys(schema.resources).length).toBeGreaterThan(0);
  });

  it("describes its functions as npm does", () => {
    const typings = new Typings(plugin);
    const schema = schemas[plugin];
    const functions = Object.entries(schema.functions ?? {}).filter(([token]) => token.startsWith(`${plugin}:`));
    const found = functions.flatMap(([token, { inputs }]) =>
      inputs?.properties ? differences(token, schemaObject(schema, inputs.properties), typings.inputs(token)) : [],
    );
    // Terraform's data sources take their id as an argument as well, which npm leaves out of some
    expect(found.filter((difference) => !difference.endsWith(".id: the plugin has it, npm does not"))).toEqual([]);
  });

  it("describes its configuration as npm does", () => {
    const schema = schemas[plugin];
    const npm = new Typings(plugin).provider();
    expect(differences("provider", schemaObject(schema, schema.provider?.inputProperties), npm)).toEqual([]);
  });
});

describe("the program", () => {
  const highlyAvailable = { controlPlaneCount: 3, zones: 3 };
  it.each([
    { apiEndpoint: "elastic-ip" },
    { apiEndpoint: "nlb", ...highlyAvailable },
    { apiEndpoint: "haproxy", ...highlyAvailable },
  ])("uses no resource type that no plugin has: $apiEndpoint", async (values) => {
    const served = new Set(plugins.flatMap((plugin) => Object.keys(schemas[plugin].resources)));
    const { resources } = await runProgram(values);
    const used = new Set(resources.map(({ type }) => type).filter((type) => /^(aws|tls|command):/.test(type)));
    expect([...used].filter((type) => !served.has(type))).toEqual([]);
    expect(used.size).toBeGreaterThan(10);
  });
});

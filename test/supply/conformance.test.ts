/**
 * Compares the plugins built here with the npm packages that the program is written against: an input with a different
 * name would be silently ignored, and one of a different type rejected at run time.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensurePulumi } from "../../supply/pulumi";
import { type Plugin, plugins, sdkVersion } from "../../supply/pulumi/versions";
import { run } from "../../lib/run";
import { labDir } from "../../tools/places";
import { runProgram } from "../support/program";
import { Typings } from "./npm-typings";
import { type PackageSchema, schemaObject } from "./plugin-schema";
import { differences } from "./shape";

const home = join(labDir, "pulumi");
const schemas = {} as Record<Plugin, PackageSchema>;
let built: boolean;

beforeAll(async () => {
  const { binDir, environment } = await ensurePulumi(home);
  built = environment["PULUMI_HOME"] !== undefined;
  for (const plugin of plugins) {
    const source = built
      ? join(home, "plugins", `resource-${plugin}-v${sdkVersion(plugin)}`, `pulumi-resource-${plugin}`)
      : `${plugin}@${sdkVersion(plugin)}`;
    const env = { ...environment, PULUMI_SKIP_UPDATE_CHECK: "true" };
    schemas[plugin] = JSON.parse(
      await run(join(binDir, "pulumi"), ["package", "get-schema", source], { env }),
    ) as PackageSchema;
  }
});

describe.each(plugins)("the %s plugin", (plugin) => {
  it("describes its resources like the npm package", () => {
    const typings = new Typings(plugin);
    const schema = schemas[plugin];
    const found = Object.entries(schema.resources).flatMap(([token, { inputProperties, properties }]) => [
      ...differences(`${token} in`, schemaObject(schema, inputProperties), typings.inputs(token)),
      ...differences(`${token} out`, schemaObject(schema, properties), typings.outputs(token)),
    ]);
    expect(found).toEqual([]);
    expect(Object.keys(schema.resources).length).toBeGreaterThan(0);
  });

  it("describes its functions like the npm package", () => {
    const typings = new Typings(plugin);
    const schema = schemas[plugin];
    const functions = Object.entries(schema.functions ?? {}).filter(([token]) => token.startsWith(`${plugin}:`));
    const found = functions.flatMap(([token, { inputs }]) =>
      inputs?.properties ? differences(token, schemaObject(schema, inputs.properties), typings.inputs(token)) : [],
    );
    // Terraform's data sources also take their id as an argument, which npm omits for some of them
    expect(found.filter((difference) => !difference.endsWith(".id: the plugin has it, npm does not"))).toEqual([]);
  });

  it("describes its configuration like the npm package", () => {
    const schema = schemas[plugin];
    const npm = new Typings(plugin).provider();
    expect(differences("provider", schemaObject(schema, schema.provider?.inputProperties), npm)).toEqual([]);
  });
});

describe("the program", () => {
  const highlyAvailable = { controlPlaneCount: 3, zones: 3 };
  const variants = [
    { apiEndpoint: "elastic-ip" },
    { apiEndpoint: "nlb", ...highlyAvailable },
    { apiEndpoint: "haproxy", ...highlyAvailable },
  ];
  const served = (): string[] => plugins.flatMap((plugin) => Object.keys(schemas[plugin].resources));
  const used = async (values: (typeof variants)[number]): Promise<string[]> => {
    const { resources } = await runProgram(values);
    return resources.map(({ type }) => type).filter((type) => /^(aws|tls|command):/.test(type));
  };

  it.each(variants)("uses only resource types that the plugins serve: $apiEndpoint", async (values) => {
    const types = new Set(await used(values));
    expect([...types].filter((type) => !served().includes(type))).toEqual([]);
    expect(types.size).toBeGreaterThan(10);
  });

  it("uses every resource type that the plugins built here serve", async ({ skip }) => {
    if (!built) skip("the official plugins are in use");
    const types = new Set((await Promise.all(variants.map(used))).flat());
    expect(served().filter((type) => !types.has(type))).toEqual([]);
  });
});

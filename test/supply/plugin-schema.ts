/** The types of a plugin, read from its schema. https://www.pulumi.com/docs/using-pulumi/pulumi-packages/schema/ */
import type { Shape } from "./shape";

interface TypeSpec {
  readonly type?: string;
  readonly $ref?: string;
  readonly items?: TypeSpec;
  readonly additionalProperties?: TypeSpec;
  readonly oneOf?: readonly TypeSpec[];
}
type Properties = Readonly<Record<string, TypeSpec>>;

/** The parts of a package's schema that are compared. */
export interface PackageSchema {
  readonly types: Readonly<Record<string, { readonly type?: string; readonly properties?: Properties }>>;
  readonly provider?: { readonly inputProperties?: Properties };
  readonly resources: Readonly<
    Record<string, { readonly properties?: Properties; readonly inputProperties?: Properties }>
  >;
  readonly functions?: Readonly<Record<string, { readonly inputs?: { readonly properties?: Properties } }>>;
}

/** The shape of an object with these properties. */
export function schemaObject(schema: PackageSchema, properties: Properties = {}): Shape {
  const of = (): ReadonlyMap<string, Shape> =>
    new Map(Object.entries(properties).map(([name, spec]) => [name, schemaShape(schema, spec)]));
  return { kind: "object", properties: of };
}

function schemaShape(schema: PackageSchema, spec: TypeSpec): Shape {
  if (spec.$ref) return referred(schema, spec.$ref);
  if (spec.oneOf?.[0]) return schemaShape(schema, spec.oneOf[0]);
  if (spec.type === "array" && spec.items) return { kind: "array", element: schemaShape(schema, spec.items) };
  if (spec.type === "object") {
    return {
      kind: "map",
      element: spec.additionalProperties ? schemaShape(schema, spec.additionalProperties) : { kind: "any" },
    };
  }
  return { kind: spec.type === "integer" ? "number" : (spec.type ?? "any") };
}

function referred(schema: PackageSchema, ref: string): Shape {
  if (!ref.startsWith("#/types/")) return { kind: "any" };
  const token = decodeURIComponent(ref.slice("#/types/".length));
  const type = schema.types[token];
  if (!type) throw new Error(`the schema refers to ${token} but does not define it`);
  return type.type === "object" || type.properties
    ? schemaObject(schema, type.properties)
    : { kind: type.type ?? "any" };
}

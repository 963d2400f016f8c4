/** The shape of a type, as far as two descriptions of the same API can be compared: kinds and property names. */
export interface Shape {
  /** string, number, boolean, array, map, object, or any. */
  readonly kind: string;
  /** The elements of an array or map. */
  readonly element?: Shape;
  /** The properties of an object. A function, because types can be recursive. */
  readonly properties?: () => ReadonlyMap<string, Shape>;
}

/** Properties that Terraform has and the npm packages do not declare. */
const ownOfTerraform = new Set(["tagsAll", "timeouts"]);

/** The differences between two descriptions, each with the path of its property. `any` matches everything. */
export function differences(path: string, plugin: Shape, npm: Shape, depth = 8): string[] {
  if (plugin.kind === "any" || npm.kind === "any" || depth === 0) return [];
  if (plugin.kind !== npm.kind) return [`${path}: the plugin has ${plugin.kind}, npm ${npm.kind}`];
  if (plugin.element && npm.element) return differences(`${path}[]`, plugin.element, npm.element, depth - 1);
  if (!plugin.properties || !npm.properties) return [];
  const [ours, theirs] = [plugin.properties(), npm.properties()];
  const found: string[] = [];
  for (const name of theirs.keys()) {
    if (!ours.has(name)) found.push(`${path}.${name}: npm has it, the plugin does not`);
  }
  for (const [name, shape] of ours) {
    const other = theirs.get(name);
    if (other) found.push(...differences(`${path}.${name}`, shape, other, depth - 1));
    else if (!ownOfTerraform.has(name)) found.push(`${path}.${name}: the plugin has it, npm does not`);
  }
  return found;
}

/** The shape of a type as far as two descriptions of one API can be compared: kinds, and names of properties. */
export interface Shape {
  /** string, number, boolean, array, map, object, or any. */
  readonly kind: string;
  /** What an array or a map holds. */
  readonly element?: Shape;
  /** Properties of an object; read when they are asked for, as types refer to themselves. */
  readonly properties?: () => ReadonlyMap<string, Shape>;
}

/** Names that Terraform's side has for itself and npm's does not show. */
const ownOfTerraform = new Set(["tagsAll", "timeouts"]);

/**
 * How two descriptions differ, each difference with the path of the property that it concerns. `any` agrees with
 * everything.
 */
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

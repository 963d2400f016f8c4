/** Reads featureGates: gates that can be set in this version of Kubernetes, for every component that knows them. */
import { didYouMean } from "./did-you-mean";
import { json, Problem } from "./problem";
import table from "./tables/feature-gates.json";

const unknown: Readonly<Record<string, readonly string[] | undefined>> = table.unknown;

export type FeatureGates = Readonly<Record<string, boolean>>;

/** Reads the map of gates. @throws Problem */
export function featureGates(text: string): FeatureGates {
  const gates = Object.entries(json(text)).map(([gate, value]): [string, boolean] => {
    if (!table.gates.includes(gate))
      throw new Problem(
        `has "${gate}", which is not a feature gate that can be set in v1.36: it does not exist, or its feature is always on by now.`,
        `Remove ${gate}.${didYouMean(gate, table.gates)}`,
      );
    if (!["true", "false"].includes(String(value)))
      throw new Problem(`gives ${gate} the value "${String(value)}".`, "Set it to true or false.");
    return [gate, String(value) === "true"];
  });
  return Object.fromEntries(gates.sort());
}

/** Those that a component knows; with another, it would not start. */
export const gatesOf = (component: string, gates: FeatureGates): FeatureGates =>
  Object.fromEntries(Object.entries(gates).filter(([gate]) => !unknown[component]?.includes(gate)));

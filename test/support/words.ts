/** A command as a tagged template: kubectl`-n ${namespace} get pods -l app=web -o name`. */

/** A value inside a template. */
export type Value = string | number | readonly string[];

/** The arguments of a tag. */
export type Template = [text: TemplateStringsArray, ...values: Value[]];

/** Splits at whitespace. Quotes mean nothing, a value is never split, and a lone array becomes one word per element. */
export function words(...[text, ...values]: Template): string[] {
  const place = "\0"; // cannot be part of an argument
  const next = (): Value => values.shift() ?? "";
  return text
    .join(place)
    .split(/\s+/)
    .filter(Boolean)
    .flatMap((word) => (word === place ? [next()].flat().map(String) : word.replaceAll(place, () => String(next()))));
}

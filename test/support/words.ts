/** A command as a tagged template: kubectl`-n ${namespace} get pods -l app=web -o name`. */

/** A value inside of a template. */
export type Value = string | number | readonly string[];

/** What a tag is called with. */
export type Template = [text: TemplateStringsArray, ...values: Value[]];

/** Splits at whitespace; quotes mean nothing, a value is never split, an array on its own is one word per element. */
export function words(...[text, ...values]: Template): string[] {
  const place = "\0"; // can be part of no argument
  const next = (): Value => values.shift() ?? "";
  return text
    .join(place)
    .split(/\s+/)
    .filter(Boolean)
    .flatMap((word) => (word === place ? [next()].flat().map(String) : word.replaceAll(place, () => String(next()))));
}

/** Suggestions for misspelt words. */
import { closest, distance } from "fastest-levenshtein";

/** The word that was probably meant, ignoring case; undefined if none is close. */
function nearest(text: string, words: readonly string[]): string | undefined {
  const [wanted, candidates] = [text.toLowerCase(), words.map((word) => word.toLowerCase())];
  const near = closest(wanted, candidates);
  return distance(wanted, near) <= Math.max(2, near.length / 3) ? words[candidates.indexOf(near)] : undefined;
}

/** " Did you mean …?" if one of the words is close, otherwise an empty string. */
export function didYouMean(text: string, words: readonly string[]): string {
  const near = nearest(text, words);
  return near === undefined ? "" : ` Did you mean ${near}?`;
}

/** What a lab is: an article, and the experiment that checks it. */
import type { Bench } from "./bench";
import type { Need } from "./cluster";
import type { Article } from "./result";

/** One article of the series as an experiment. */
export interface Lab extends Article {
  readonly needs?: readonly Need[];
  /** Time limit for the whole experiment in seconds; 240 by default. */
  readonly limit?: number;
  /** What it creates in its namespaces needs no clean-up; what it changes elsewhere goes through the bench. */
  readonly experiment: (bench: Bench) => Promise<void>;
}

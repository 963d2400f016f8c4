/** What happened when: state changes of the objects that a lab watched, and its steps. Pure except for the clock. */

/** Phases of an experiment, in the order of the report. */
export type Phase = "baseline" | "disturb" | "observe" | "restore";

/** The object was in `state` from `at` on. */
export interface Change {
  /** Seconds since the lab began. */
  readonly at: number;
  /** The object, such as Pod web-0. */
  readonly lane: string;
  /** Such as Pending, Ready, 2/3 or gone. */
  readonly state: string;
}

export interface Step {
  readonly phase: Phase;
  readonly title: string;
  readonly at: number;
  readonly seconds: number;
  readonly ok: boolean;
}

/** A period that an object spent in one state. */
export interface Span {
  readonly lane: string;
  readonly state: string;
  readonly from: number;
  readonly to: number;
}

/** State of an object that no longer exists. */
export const gone = "gone";

export class Timeline {
  readonly changes: Change[] = [];
  readonly steps: Step[] = [];
  private readonly current = new Map<string, string>();

  constructor(private readonly start = performance.now()) {}

  /** Seconds since the lab began, to the millisecond. */
  now(): number {
    return Math.round(performance.now() - this.start) / 1000;
  }

  /** Records a state; the same state twice is one change. */
  change(lane: string, state: string): void {
    if (this.current.get(lane) === state) return;
    this.current.set(lane, state);
    this.changes.push({ at: this.now(), lane, state });
  }

  /** Runs a step and records how long it took, even if it fails. */
  async step<T>(phase: Phase, title: string, run: () => Promise<T>): Promise<T> {
    const at = this.now();
    const end = (ok: boolean): void => {
      this.steps.push({ phase, title, at, seconds: Math.round((this.now() - at) * 1000) / 1000, ok });
    };
    try {
      const value = await run();
      end(true);
      return value;
    } catch (error) {
      end(false);
      throw error;
    }
  }
}

/** Turns changes into spans, in the order in which the lanes first appear; an object that is gone has no span. */
export function spans(changes: readonly Change[], end: number): Span[] {
  const lanes = [...new Set(changes.map((c) => c.lane))];
  return lanes.flatMap((lane) => {
    const own = changes.filter((c) => c.lane === lane);
    return own
      .map((change, i) => ({
        lane,
        state: change.state,
        from: change.at,
        to: Math.max(own[i + 1]?.at ?? end, change.at),
      }))
      .filter((span) => span.state !== gone);
  });
}

/** A lab's timeline as a chart: one lane per watched object, its states as bars, the lab's steps as a band on top. */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import type { LabResult } from "../framework/result";
import { type Span, spans } from "../framework/timeline";
import { Html } from "./html";

const maxLanes = 48;
/** Colours that work behind dark text, on light and dark pages. The bar's own text gives the state as well. */
const ink = "#14171b";
const colours: readonly (readonly [pattern: RegExp, fill: string])[] = [
  [/^0\/0$/, "#8a8f98"],
  [/^(Ready|running|Complete|Active|(\d+)\/\2)$/, "#2f9e6e"],
  [/^(Pending|Running|\d+\/\d+|\d+ active.*)$/, "#d9a13b"],
  [/^(Failed|Unschedulable|Error|stopped|.*NotReady.*)$/, "#e2616f"],
  [/^Terminating$/, "#8a8f98"],
  [/^(Gated|Suspended|Succeeded)$/, "#8f99e0"],
];
const colour = (state: string): string => colours.find(([pattern]) => pattern.test(state))?.[1] ?? "#5b8db8";

const phases = { baseline: "#6c9bc4", disturb: "#b08ae6", observe: "#4fa3b8", restore: "#8a8f98" } as const;

/** What the colours mean, for the chart's legend: in the band of steps, and for the objects below it. */
export const legend: Readonly<Record<string, readonly (readonly [fill: string, meaning: string])[]>> = {
  steps: Object.entries(phases).map(([phase, fill]) => [fill, phase] as const),
  objects: [
    [colour("Ready"), "ready, complete"],
    [colour("Pending"), "pending, partly ready"],
    [colour("Failed"), "failed, not ready"],
    [colour("Terminating"), "terminating, at 0"],
  ],
};

/** Lanes of the chart, in order of appearance; a chart with hundreds of lanes would be unreadable. */
function lanesOf(all: readonly Span[]): string[] {
  return [...new Set(all.map((span) => span.lane))].slice(0, maxLanes);
}

/** The chart as SVG; undefined for a lab without steps. The labels are text, so they can be searched and read aloud. */
export function timelineChart(lab: LabResult): Html | undefined {
  if (!lab.steps.length) return undefined;
  // Nothing is watched during the restore, so the objects' bars end there and only a little of it is drawn.
  const watched = lab.steps.find((step) => step.phase === "restore")?.at ?? lab.seconds;
  const end = Math.max(Math.min(lab.seconds, watched * 1.06), 1);
  const all = spans(lab.changes, watched);
  const lanes = lanesOf(all);
  const shown = all.filter((span) => lanes.includes(span.lane));
  const steps = lab.steps.map((step, i) => ({
    ...step,
    number: String(i + 1),
    lane: "steps",
    to: Math.min(Math.max(step.at + step.seconds, step.at + end * 0.003), end),
  }));
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const plot = Plot.plot({
    document: document as unknown as NonNullable<Plot.PlotOptions["document"]>,
    className: "plot",
    width: 960,
    height: 66 + 21 * (lanes.length + 1),
    marginBottom: 38,
    marginLeft: 190,
    marginRight: 16,
    style: { background: "transparent", fontSize: "11px" },
    x: { domain: [0, end], label: "seconds since the lab began", grid: true },
    y: { domain: ["steps", ...lanes], label: null, tickSize: 0, padding: 0.18 },
    ariaLabel: `Timeline of ${lab.title}`,
    marks: [
      Plot.ruleX(
        steps.filter((step) => step.phase === "disturb"),
        { x: "at", stroke: phases.disturb, strokeOpacity: 0.45, strokeDasharray: "3,3" },
      ),
      Plot.barX(steps, {
        x1: "at",
        x2: "to",
        y: "lane",
        insetLeft: 0.5,
        insetRight: 0.5,
        fill: (step: { phase: keyof typeof phases }) => phases[step.phase],
        title: (step: { phase: string; title: string; seconds: number }) =>
          `${step.phase}: ${step.title} (${step.seconds} s)`,
      }),
      Plot.text(
        steps.filter((step) => fits({ from: step.at, to: step.to, text: step.number }, end)),
        { x: "at", y: "lane", text: "number", textAnchor: "start", dx: 4, fill: ink, fontWeight: 600, fontSize: 10 },
      ),
      Plot.barX(shown, {
        x1: "from",
        x2: "to",
        y: "lane",
        fill: (span: Span) => colour(span.state),
        rx: 2,
        title: (span: Span) => `${span.lane}: ${span.state}, ${span.from.toFixed(1)} to ${span.to.toFixed(1)} s`,
      }),
      Plot.text(
        shown.filter((span) => fits({ ...span, text: span.state }, end)),
        {
          x: "from",
          y: "lane",
          text: "state",
          textAnchor: "start",
          dx: 4,
          fill: ink,
          fontWeight: 600,
          fontSize: 10,
        },
      ),
    ],
  });
  return new Html(plot.outerHTML);
}

/** Whether a text fits into its bar, at about 6.2 pixels per letter and 754 pixels for the whole time. */
const fits = (bar: { from: number; to: number; text: string }, end: number): boolean =>
  ((bar.to - bar.from) / end) * 754 > bar.text.length * 6.2 + 8;

/** The report's section on the conformance suite. Pure. */
import { conforms, type ConformanceResult, groupOf, type SpecResult, tallySpecs } from "../conformance/result";
import { type Html, html } from "./html";
import { duration } from "./model";

const marks = { passed: "✓", failed: "✗", skipped: "–" } as const;

export function conformanceSection(result: ConformanceResult): Html {
  const { passed, failed, skipped, missing } = tallySpecs(result);
  const bad = result.specs.filter(({ verdict }) => verdict !== "passed");
  const verdict = conforms(result) ? "passed" : "failed";
  return html`<h2 id="conformance">Conformance</h2>
    <section class="card" aria-labelledby="conformance">
      <p>
        <span class="verdict ${verdict}">${marks[verdict]} ${passed} of ${result.total}</span>
        Upstream's conformance specs of
        ${result.version}${result.focus !== undefined && html`, those that match <code>${result.focus}</code>`}:
        ${passed} passed, ${failed} failed, ${skipped} skipped, ${missing} not run, in ${duration(result.seconds)}, up
        to ${result.processes} at a time.
      </p>
      ${result.errors.map((error) => html`<p class="reason failed">${error}</p>`)}
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Group</th>
              <th scope="col" class="number">Passed</th>
              <th scope="col" class="number">Duration of its specs</th>
            </tr>
          </thead>
          <tbody>
            ${groups(result).map(([group, specs]) => groupRow(group, specs))}
          </tbody>
        </table>
      </div>
      ${bad.length > 0 && specList(bad)}
      <details>
        <summary>All ${result.specs.length} specs</summary>
        ${specList(result.specs)}
      </details>
    </section>`;
}

function groups({ specs }: ConformanceResult): [string, SpecResult[]][] {
  const found = new Map<string, SpecResult[]>();
  for (const spec of specs) found.set(groupOf(spec), [...(found.get(groupOf(spec)) ?? []), spec]);
  return [...found].sort(([a], [b]) => a.localeCompare(b, "en"));
}

const groupRow = (group: string, specs: readonly SpecResult[]): Html =>
  html`<tr>
    <th scope="row">${group}</th>
    <td class="number">${specs.filter(({ verdict }) => verdict === "passed").length}/${specs.length}</td>
    <td class="number">${duration(specs.reduce((sum, { seconds }) => sum + seconds, 0))}</td>
  </tr>`;

const specList = (specs: readonly SpecResult[]): Html =>
  html`<ul class="specs">
    ${specs.map(
      ({ name, verdict, seconds, reason }) =>
        html`<li>
          ${marks[verdict]} ${name} <span class="soft">${seconds} s</span>
          ${reason && html`<pre>${reason}</pre>`}
        </li>`,
    )}
  </ul>`;

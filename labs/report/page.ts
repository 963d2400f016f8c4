/** The report as a single self-contained page. Pure. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Claim } from "../framework/expectation";
import type { LabResult } from "../framework/result";
import { legend, timelineChart } from "./chart";
import { Html, html } from "./html";
import { conformanceSection } from "./conformance";
import { duration, type Report, tally } from "./model";
import { topology } from "./topology";

const longest = 600;
const marks = { passed: "✓ passed", failed: "✗ failed", skipped: "– skipped" } as const;

export function page(report: Report): string {
  const counts = tally(report.labs);
  const claims = report.labs.flatMap((lab) => lab.claims);
  const style = new Html(readFileSync(join(__dirname, "style.css"), "utf8"));
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <link rel="icon" href="data:," />
        <title>
          Labs on ${report.cluster}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped
        </title>
        <style>
          ${style}
        </style>
      </head>
      <body>
        <a class="skip-link" href="#labs">Skip to the labs</a>
        <header>
          <h1>Kubernetes From Scratch: the labs</h1>
          <p class="soft">
            Cluster <b>${report.cluster}</b>, ${report.startedAt.slice(0, 16).replace("T", " ")} UTC. Every claim of the
            articles, checked on this cluster.
          </p>
          <ul class="tiles">
            <li><b>${counts.passed}</b> passed</li>
            <li><b>${counts.failed}</b> failed</li>
            <li><b>${counts.skipped}</b> skipped</li>
            <li><b>${claims.filter((c) => c.holds).length}/${claims.length}</b> claims held</li>
            <li><b>${duration(report.seconds)}</b> in total</li>
          </ul>
          <dl class="versions">
            ${Object.entries(report.versions).map(
              ([what, version]) =>
                html`<div>
                  <dt>${what}</dt>
                  <dd>${version}</dd>
                </div>`,
            )}
          </dl>
        </header>
        <main>
          <h2>The cluster</h2>
          <figure class="card scroll">${topology(report)}</figure>
          ${report.conformance && conformanceSection(report.conformance)}
          <h2 id="labs">Verdicts</h2>
          <div class="card scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col">Lab</th>
                  <th scope="col">Part</th>
                  <th scope="col">Verdict</th>
                  <th scope="col" class="number">Claims</th>
                  <th scope="col" class="number">Duration</th>
                </tr>
              </thead>
              <tbody>
                ${report.labs.map(verdictRow)}
              </tbody>
            </table>
          </div>
          ${report.labs.map(labSection)}
          <footer>Predicted and observed values are in labs.json, next to this page.</footer>
        </main>
      </body>
    </html> `.text;
}

const verdict = (lab: LabResult): Html => html`<span class="verdict ${lab.verdict}">${marks[lab.verdict]}</span>`;
const held = (lab: LabResult): string => `${lab.claims.filter((c) => c.holds).length}/${lab.claims.length}`;

const verdictRow = (lab: LabResult): Html =>
  html`<tr>
    <th scope="row"><a href="#${lab.name}">${lab.title}</a></th>
    <td class="soft">${lab.part}</td>
    <td>${verdict(lab)}</td>
    <td class="number">${held(lab)}</td>
    <td class="number">${duration(lab.seconds)}</td>
  </tr>`;

function labSection(lab: LabResult): Html {
  const chart = timelineChart(lab);
  return html`<section class="card" id="${lab.name}" aria-labelledby="${lab.name}-title">
    <div class="lab-head">
      <h3 id="${lab.name}-title">${lab.title}</h3>
      ${verdict(lab)}<span class="soft">${lab.name} · ${duration(lab.seconds)}</span>
    </div>
    <p class="hypothesis">${lab.hypothesis}</p>
    ${lab.reason && html`<p class="reason ${lab.verdict}">${lab.reason}</p>`}
    ${
      chart &&
      html`<figure class="scroll">
        ${chart}
        <figcaption>${legendList}</figcaption>
      </figure>`
    }
    ${
      lab.steps.length > 0 &&
      html`<details>
        <summary>The ${lab.steps.length} steps, as numbered in the chart</summary>
        <ol>
          ${lab.steps.map((s) => html`<li>${s.phase}: ${s.title} <span class="soft">(${s.seconds.toFixed(1)} s${s.ok ? "" : ", failed"})</span></li>`)}
        </ol>
      </details>`
    }
    ${lab.claims.length > 0 && claimsTable(lab.claims)}
    ${
      Object.keys(lab.evidence).length > 0 &&
      html`<details>
        <summary>Evidence</summary>
        <pre>${JSON.stringify(lab.evidence, null, 2)}</pre>
      </details>`
    }
  </section>`;
}

const legendList = html`<ul class="legend">
  ${Object.entries(legend).map(
    ([what, meanings]) =>
      html`<li class="what">${what}</li>
        ${meanings.map(([fill, meaning]) => html`<li><i style="background:${fill}"></i>${meaning}</li>`)}`,
  )}
</ul>`;

const claimsTable = (claims: readonly Claim[]): Html =>
  html`<div class="scroll">
    <table class="claims">
      <thead>
        <tr>
          <th scope="col"><span aria-hidden="true">✓</span></th>
          <th scope="col">Claim</th>
          <th scope="col">Predicted</th>
          <th scope="col">Observed</th>
        </tr>
      </thead>
      <tbody>
        ${claims.map(
          (claim) =>
            html`<tr>
              <td
                class="mark ${claim.holds ? "holds" : "broken"}"
                aria-label="${claim.holds ? "held" : "did not hold"}"
              >
                ${claim.holds ? "✓" : "✗"}
              </td>
              <th scope="row">${claim.text}</th>
              <td>${value(claim.predicted)}</td>
              <td>${value(claim.observed)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;

function value(of: unknown): Html {
  const text = typeof of === "string" ? of : JSON.stringify(of);
  return html`<code>${text.length > longest ? `${text.slice(0, longest)} …` : text}</code>`;
}

/** The report in a real browser: it fits, requests nothing, and is readable in light and dark mode. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Report } from "../../labs/report/model";
import { page } from "../../labs/report/page";

const dir = mkdtempSync(join(tmpdir(), "kfs-report-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function chromium(): void {
  try {
    execFileSync("chromium", ["--version"], { stdio: "ignore" });
  } catch {
    execFileSync("apt-get", ["install", "-y", "--no-install-recommends", "chromium"], { stdio: "ignore" });
  }
}

/** What the browser reports about the page, from a script that the test adds; the page itself has none. */
interface Seen {
  readonly overflow: number;
  readonly requests: string[];
  readonly headings: string[];
  readonly bars: number;
  readonly contrast: number;
}
const look = `<script>addEventListener("load", () => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (element) => {
    const style = getComputedStyle(element);
    const [a, b] = [luminance(style.color), luminance(style.backgroundColor)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  document.body.dataset.seen = JSON.stringify({
    overflow: document.documentElement.scrollWidth - innerWidth,
    requests: performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:")),
    headings: [...document.querySelectorAll("h1,h2,h3")].map((h) => h.textContent.trim()),
    bars: document.querySelectorAll(".plot rect").length,
    contrast: Math.min(...[...document.querySelectorAll(".verdict")].map(contrast), contrast(document.body)),
  });
});</script>`;

function open(html: string, width: number, dark: boolean): Seen {
  const file = join(dir, "page.html");
  writeFileSync(file, html.replace("</body>", `${look}</body>`));
  const flags = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    // A separate profile, and no requests to the browser's vendor.
    `--user-data-dir=${join(dir, "profile")}`,
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    `--window-size=${width},900`,
    "--virtual-time-budget=3000",
  ];
  const scheme = dark ? ["--blink-settings=preferredColorScheme=0"] : ["--blink-settings=preferredColorScheme=1"];
  const dom = execFileSync("chromium", [...flags, ...scheme, "--dump-dom", `file://${file}`], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    timeout: 60_000,
    maxBuffer: 64 * 2 ** 20,
  });
  const seen = /data-seen="([^"]*)"/.exec(dom)?.[1];
  if (!seen) throw new Error("the page did not load");
  return JSON.parse(seen.replaceAll("&quot;", '"').replaceAll("&amp;", "&")) as Seen;
}

describe("the labs' report in chromium", () => {
  const report = JSON.parse(readFileSync(join(__dirname, "report.json"), "utf8")) as Report;
  const html = page(report);
  beforeAll(chromium, 300_000);

  it.each([
    [1280, false],
    [1280, true],
    [390, false],
  ])("fits and is readable at %i pixels, dark: %s", (width, dark) => {
    const seen = open(html, width, dark);
    expect(seen.requests).toEqual([]);
    expect(seen.overflow).toBeLessThanOrEqual(0);
    expect(seen.headings).toEqual(expect.arrayContaining(["Verdicts", ...report.labs.map((lab) => lab.title)]));
    expect(seen.bars).toBeGreaterThan(10);
    expect(seen.contrast).toBeGreaterThanOrEqual(4.5); // WCAG 2.2 AA
  });
});

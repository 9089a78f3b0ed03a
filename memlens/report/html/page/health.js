// How memlens itself did, and what this report is.

import { html, section } from "./dom.js";
import { formatClock, formatDuration } from "./format.js";
import { explain } from "./tooltip.js";

/** @import { HealthFact, ReportDocument } from "./document" */

const HEALTH_SYMBOLS = { ok: "✓", warning: "!", error: "✕" };

/**
 * Return the section on the health and the overhead of memlens.
 * @param {HealthFact[]} facts
 */
export function healthSection(facts) {
  const rows = facts.map((one) => {
    const symbol = html(
      "span",
      { class: `state ${one.state}` },
      html("span", { "aria-hidden": "true" }, HEALTH_SYMBOLS[one.state]),
      html("span", { class: "unseen" }, one.state),
    );
    return html(
      "div",
      { class: one.state },
      html("dt", {}, symbol, one.label),
      html("dd", {}, explain(html("span", {}, one.value), `${one.label}\n${one.help}`)),
    );
  });
  return section(
    "health",
    "Health of the measurement",
    "How well memlens could measure, and what that cost the program.",
    html("dl", { class: "health" }, ...rows),
  );
}

/**
 * Return the section on the report itself: the process, what is missing and why, the terms.
 * @param {ReportDocument} report
 */
export function aboutSection(report) {
  const { process } = report;
  /** @type {[string, string | number | null | undefined][]} */
  const facts = [
    ["Command", process?.command],
    ["Process", process?.pid],
    ["Python", process?.python],
    ["Platform", process?.platform],
    ["Observed", process?.seconds ? formatDuration(process.seconds) : null],
    ["Made", formatClock(report.made_at)],
    ["memlens", report.memlens],
  ];
  const known = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  const terms = Object.entries(report.glossary);
  return section(
    "about",
    "About this report",
    "",
    html(
      "dl",
      { class: "about" },
      ...known.map(([label, value]) =>
        html("div", {}, html("dt", {}, label), html("dd", {}, value)),
      ),
    ),
    report.missing.length ? html("h3", {}, "What is not in this report, and why") : null,
    report.missing.length
      ? html("ul", { class: "missing" }, ...report.missing.map((text) => html("li", {}, text)))
      : null,
    terms.length ? glossaryPart(terms) : null,
  );
}

/** @param {[string, string][]} terms */
function glossaryPart(terms) {
  const entries = terms.map(([term, text]) =>
    html("div", {}, html("dt", {}, term.replaceAll("_", " ")), html("dd", {}, text)),
  );
  return html(
    "details",
    { id: "glossary" },
    html("summary", {}, "Glossary"),
    html("dl", { class: "about" }, ...entries),
  );
}

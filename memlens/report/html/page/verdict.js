// The answer comes first: one sentence, the line to look at, and the numbers behind them.

import { html, svg } from "./dom.js";
import { formatBytes, formatClock, formatDuration, baseName } from "./format.js";
import { routeHash } from "./links.js";
import { fact, quantity, termText } from "./quantity.js";
import { adviceParts, splitSite } from "./sites.js";
import { explain } from "./tooltip.js";

/** @import { ReportDocument, Suspect, VerdictState } from "./document" */

/** @type {Record<VerdictState, {label: string, icon: string}>} */
const STATES = {
  leak: { label: "Leak", icon: "M12 3 22 20H2ZM12 9v5M12 17v.5" },
  "no leak": { label: "No leak found", icon: "M4 12.5 10 18 20 6.5" },
  "unexplained growth": { label: "Unexplained growth", icon: "M4 18 10 11 14 14 20 6M15 6h5v5" },
  unknown: {
    label: "Cannot tell",
    icon: "M9 9a3 3 0 1 1 4.5 2.6C12.400 12.400 12 13 12 14.500M12 18v.5",
  },
  none: { label: "Overview", icon: "M5 20V10M12 20V4M19 20v-7" },
};
const SHOWN_DETAILS = 3;

/**
 * Return the head of the report.
 * @param {ReportDocument} report
 */
export function verdictSection(report) {
  const { verdict } = report;
  const state = STATES[verdict.state] ?? STATES.none;
  const [first, rest] = firstSentence(verdict.sentence || report.title);
  const kind = verdict.state.replaceAll(" ", "-");
  const icon = svg(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" },
    svg("path", { d: state.icon }),
  );
  const confidence = verdict.confidence
    ? explain(
        html("span", { class: "confidence" }, `confidence ${verdict.confidence}`),
        `Confidence ${verdict.confidence}\n${termText("confidence", "How sure the analysis is that this is a leak.")}`,
      )
    : null;
  return html(
    "section",
    { id: "verdict", class: `verdict ${kind}`, "aria-labelledby": "verdict-heading", tabindex: -1 },
    html("p", { class: "eyebrow" }, icon, html("span", {}, state.label), confidence),
    html("h1", { id: "verdict-heading" }, ...markedSentence(first, report.suspects)),
    rest ? html("p", { class: "lede" }, ...markedSentence(rest, report.suspects)) : null,
    whatToDo(report.suspects),
    detailList(verdict.details),
    factRow(report),
  );
}

/**
 * Return the first sentence of a text, and the rest.
 * @param {string} text
 * @returns {[string, string]}
 */
function firstSentence(text) {
  const end = text.search(/\. \p{Lu}/u);
  return end < 0 ? [text, ""] : [text.slice(0, end + 1), text.slice(end + 2)];
}

/**
 * Return a sentence with the names of the holders marked.
 * @param {string} sentence
 * @param {Suspect[]} suspects
 */
function markedSentence(sentence, suspects) {
  const names = suspects.map((suspect) => suspect.holder).sort((a, b) => b.length - a.length);
  /** @type {(string | HTMLElement)[]} */
  const parts = [];
  let rest = sentence;
  for (;;) {
    const name = names.find((one) => one && rest.includes(one));
    if (!name) break;
    const at = rest.indexOf(name);
    const suspect = suspects.find((one) => one.holder === name);
    const link = routeHash(`suspect-${suspect?.id ?? ""}`);
    parts.push(rest.slice(0, at), html("a", { class: "holder", href: link }, name));
    rest = rest.slice(at + name.length);
  }
  return [...parts, rest];
}

/**
 * Return what to do about the first suspect, and the lines that allocate what accumulates.
 * @param {Suspect[]} suspects
 */
function whatToDo(suspects) {
  const [first] = suspects;
  const site = first?.sites[0] ? splitSite(first.sites[0]) : null;
  const frames = site?.frame ? [site.frame, ...site.callers.slice(0, 1)] : [];
  if (!first || (!frames.length && !first.advice)) return null;
  const link = routeHash(`suspect-${first.id}`);
  const places = frames.flatMap((frame, i) => [
    i ? ", called from " : "",
    explain(
      html(
        "a",
        { class: "place", href: link },
        html("code", {}, `${baseName(frame.file)}:${frame.line}`),
      ),
      `${frame.file}:${frame.line}\n${i ? "The caller of the line that allocates." : "The line that allocates most of what accumulates."}`,
    ),
    " in ",
    html("code", {}, frame.function),
  ]);
  const [inner] = site?.inner ?? [];
  if (inner) places.push(" (inside it in ", html("code", {}, inner.function), ")");
  return html(
    "div",
    { class: "change" },
    first.advice ? html("p", {}, html("b", {}, "What to do: "), ...adviceParts(first)) : null,
    places.length ? html("p", {}, html("b", {}, "Allocated at "), ...places) : null,
    suspects.length > 1
      ? html("p", {}, html("a", { href: "#suspects" }, `All ${suspects.length} suspects`))
      : null,
  );
}

/** @param {string[]} details */
function detailList(details) {
  if (!details.length) return null;
  const items = details.map((text) => html("li", {}, text));
  const shown = html("ul", { class: "details" }, ...items.slice(0, SHOWN_DETAILS));
  const more = items.slice(SHOWN_DETAILS);
  if (!more.length) return shown;
  const rest = html(
    "details",
    {},
    html("summary", {}, `${more.length} more remarks`),
    html("ul", { class: "details" }, ...more),
  );
  return html("div", {}, shown, rest);
}

/** @param {ReportDocument} report */
function factRow(report) {
  const { process, timeline } = report;
  /** @type {HTMLElement[]} */
  const facts = [];
  const resident = timeline?.series.find((series) => series.key === "rss") ?? timeline?.series[0];
  const known = resident?.bytes.filter((bytes) => bytes !== null) ?? [];
  const last = known[known.length - 1];
  const first = known[0];
  if (resident && typeof last === "number" && typeof first === "number") {
    facts.push(fact(resident.label, quantity(last, "bytes", resident.help)));
    if (known.length > 1) {
      facts.push(
        fact(
          "Change",
          quantity(
            last - first,
            "change_bytes",
            `Of ${resident.label.toLowerCase()}, from the first reading to the last.`,
          ),
        ),
      );
    }
  }
  if (timeline?.limit_bytes) {
    const source = timeline.limit_source
      ? `The limit of the process, from ${timeline.limit_source}.`
      : "The limit of the process.";
    facts.push(fact("Limit", quantity(timeline.limit_bytes, "bytes", source)));
  }
  if (!timeline && report.treemap) {
    facts.push(
      fact(
        "Objects in the heap",
        quantity(
          report.treemap.shown_bytes,
          "bytes",
          termText("heap", "The sizes of the program's objects in the snapshot."),
        ),
      ),
    );
  }
  if (process?.seconds) {
    facts.push(
      fact(
        "Observed",
        explain(
          html("span", {}, formatDuration(process.seconds)),
          "From the first snapshot or reading to the last.",
        ),
      ),
    );
  }
  if (process?.pid !== null && process?.pid !== undefined) {
    facts.push(
      fact(
        "Process",
        explain(
          html("span", {}, String(process.pid)),
          process.command
            ? `Process ${process.pid}\n${process.command}`
            : "The number of the process.",
        ),
      ),
    );
  }
  facts.push(fact("Made", html("span", {}, formatClock(report.made_at).slice(0, 16))));
  return html("dl", { class: "facts" }, ...facts);
}

/**
 * Return a short text for the title of the window.
 * @param {ReportDocument} report
 */
export function windowTitle(report) {
  const state = STATES[report.verdict.state] ?? STATES.none;
  const growth = report.suspects[0]?.growth_bytes;
  const first = report.suspects[0];
  if (first && growth)
    return `${state.label}: ${first.holder} +${formatBytes(growth)} – ${report.title}`;
  return report.title;
}

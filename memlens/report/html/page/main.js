// Reads the data of the report and makes the page: the answer first, then what it rests on.

import { breakdownSection } from "./breakdown.js";
import { html, openDisclosuresForPrint } from "./dom.js";
import { flameSection } from "./flame.js";
import { formatBytes, formatCount } from "./format.js";
import { aboutSection, healthSection } from "./health.js";
import { helpDialog, startKeys } from "./help.js";
import { linesSection } from "./lines.js";
import { startRouting } from "./links.js";
import { followScrolling, navigation } from "./navigation.js";
import { setGlossary } from "./quantity.js";
import { suspectsSection } from "./suspects.js";
import { tableSection } from "./tables.js";
import { themeSwitch } from "./theme.js";
import { timelineSection } from "./timeline.js";
import { startTooltips } from "./tooltip.js";
import { treemapSection } from "./treemap.js";
import { verdictSection, windowTitle } from "./verdict.js";

/** @import { ReportDocument } from "./document" */
/** @typedef {{element: HTMLElement, label: string, note?: string}} Part */

const KNOWN_FORMAT = 1;

/** @returns {ReportDocument} */
function readDocument() {
  const text = document.getElementById("memlens-data")?.textContent ?? "";
  const data = JSON.parse(text);
  if (data.format !== KNOWN_FORMAT) {
    throw new Error(
      `The data of this report has format ${data.format}; this page reads ${KNOWN_FORMAT}.`,
    );
  }
  return data;
}

/**
 * Return the parts of the page, in order.
 * @param {ReportDocument} report
 * @returns {Part[]}
 */
function makeParts(report) {
  /** @type {Part[]} */
  const parts = [{ element: verdictSection(report), label: "Verdict" }];
  /** @type {(isThere: boolean, label: string, make: () => HTMLElement, note?: string) => void} */
  const add = (isThere, label, make, note) => {
    if (isThere) parts.push({ element: make(), label, note: note ?? "" });
  };
  const { timeline, suspects, treemap, breakdown, lines, health } = report;
  if (timeline)
    add(timeline.seconds.length > 0, "Memory over time", () => timelineSection(timeline));
  add(
    suspects.length > 0,
    "Suspects",
    () => suspectsSection(suspects),
    formatCount(suspects.length),
  );
  report.flames.forEach((flame, i) => {
    const id = i === 0 ? "flame" : `flame-${flame.key}`;
    add(flame.parent.length > 0, flame.label, () => flameSection(flame, id));
  });
  add(lines.length > 0, "Line by line", () => linesSection(lines));
  const holders = suspects.map((suspect) => suspect.holder);
  if (treemap) {
    const size = formatBytes(treemap.shown_bytes);
    add(
      treemap.parent.length > 0,
      "Who keeps what alive",
      () => treemapSection(treemap, holders),
      size,
    );
  }
  for (const table of report.tables) {
    add(true, table.label, () => tableSection(table), formatCount(table.rows.length));
  }
  if (breakdown) add(true, "Parts of the memory", () => breakdownSection(breakdown));
  add(health.length > 0, "Health", () => healthSection(health));
  add(true, "About", () => aboutSection(report));
  return parts;
}

/** @param {ReportDocument} report */
function showReport(report) {
  setGlossary(report.glossary);
  document.title = windowTitle(report);
  const { dialog, opener } = helpDialog();
  const parts = makeParts(report);
  const entries = parts.map(({ element, label, note }) => ({
    id: element.id,
    label,
    note: note ?? "",
  }));
  const nav = navigation(entries, [html("div", { class: "tools" }, themeSwitch(), opener)]);
  const header = html(
    "header",
    { id: "top" },
    html("p", { class: "brand" }, html("b", {}, "memlens"), html("span", {}, report.title)),
    nav,
  );
  const main = html("main", { id: "report" }, ...parts.map(({ element }) => element));
  document.getElementById("loading")?.remove();
  document.body.append(header, main, dialog);
  startTooltips();
  startKeys(dialog);
  openDisclosuresForPrint();
  startRouting();
  followScrolling(nav);
}

/** Tell the browser's timeline when the pictures are drawn and the page reacts. */
function markWhenDrawn() {
  // The first frame measures the pictures, the second one draws them.
  requestAnimationFrame(() =>
    requestAnimationFrame(() => setTimeout(() => performance.mark("memlens-ready"))),
  );
}

/** @param {unknown} error */
function showFailure(error) {
  const text = error instanceof Error ? error.message : String(error);
  document.getElementById("loading")?.replaceChildren(`This report cannot be shown: ${text}`);
}

try {
  showReport(readDocument());
  markWhenDrawn();
} catch (error) {
  showFailure(error);
  throw error;
}

// Reads the data of the report of a fleet and makes the page: the leaks first, then each answer.

import { html, openDisclosuresForPrint, section } from "./dom.js";
import { fleetLeaks } from "./fleet_leaks.js";
import { formatClock, formatCount } from "./format.js";
import { helpDialog, startKeys } from "./help.js";
import { startRouting } from "./links.js";
import { followScrolling, navigation } from "./navigation.js";
import { tableSection } from "./tables.js";
import { themeSwitch } from "./theme.js";
import { startTooltips } from "./tooltip.js";

/** @import { FleetDocument, FleetService } from "./document" */
/** @typedef {{element: HTMLElement, label: string, note?: string}} Part */

const FLEET_FORMAT = 1;

/** @returns {FleetDocument} */
function readFleet() {
  const data = JSON.parse(document.getElementById("memlens-data")?.textContent ?? "");
  if (data.format !== FLEET_FORMAT) {
    throw new Error(
      `The data of this report has format ${data.format}; this page reads ${FLEET_FORMAT}.`,
    );
  }
  return data;
}

/** @param {FleetDocument} report */
function headline(report) {
  const [first, ...others] = report.services;
  const isLeak = report.services.some((one) => one.leak_count > 0);
  const state = isLeak ? "leak" : "unknown";
  /** @param {FleetService} one */
  const about = (one) => `${one.service}: ${one.summary}`;
  const element = html(
    "section",
    { id: "verdict", class: `verdict ${state}`, "aria-labelledby": "verdict-heading", tabindex: -1 },
    first ? html("p", { class: "eyebrow" }, about(first)) : null,
    html("h1", { id: "verdict-heading" }, first?.sentence || "No process has left anything."),
    others.length
      ? html(
          "ul",
          { class: "details" },
          ...others.map((one) => html("li", {}, `${about(one)}. ${one.sentence}`)),
        )
      : null,
  );
  return element;
}

/** @param {FleetDocument} report */
function aboutFleet(report) {
  const facts = [
    ...report.facts,
    ["Made", formatClock(report.made_at)],
    ["memlens", report.memlens],
  ];
  const left = report.skipped_count - report.skipped.length;
  return section(
    "about",
    "About this report",
    "",
    html(
      "dl",
      { class: "about" },
      ...facts
        .filter(([, value]) => value)
        .map(([label, value]) => html("div", {}, html("dt", {}, label), html("dd", {}, value))),
    ),
    report.skipped_count
      ? html("h3", {}, `Files that were not read: ${formatCount(report.skipped_count)}`)
      : null,
    html(
      "ul",
      { class: "missing" },
      ...report.skipped.map((text) => html("li", {}, text)),
      left > 0 ? html("li", {}, `and ${formatCount(left)} more`) : null,
    ),
  );
}

/**
 * @param {FleetDocument} report
 * @returns {Part[]}
 */
function fleetParts(report) {
  /** @type {Part[]} */
  const parts = [{ element: headline(report), label: "Verdict" }];
  report.services.forEach((one, i) => {
    const name = report.services.length > 1 ? `${one.service}: ` : "";
    if (one.leaks.length) {
      parts.push({
        element: fleetLeaks(one, i ? `leaks-${i + 1}` : "leaks", `${name}Leaks`),
        label: `${name}Leaks`,
        note: formatCount(one.leak_count),
      });
    }
    for (const table of one.tables) {
      const label = name + table.label;
      const element = tableSection({ ...table, label });
      element.append(...table.notes.map((note) => html("p", { class: "note" }, note)));
      if (!table.rows.length) {
        element.querySelectorAll(".scroll, .scroll-hint").forEach((empty) => empty.remove());
      }
      parts.push({ element, label, note: formatCount(table.rows.length) });
    }
  });
  parts.push({ element: aboutFleet(report), label: "About" });
  return parts;
}

/** @param {FleetDocument} report */
function showFleet(report) {
  document.title = `Fleet: ${report.title}`;
  const { dialog, opener } = helpDialog();
  const parts = fleetParts(report);
  const entries = parts.map(({ element, label, note }) => ({
    id: element.id,
    label,
    note: note ?? "",
  }));
  const nav = navigation(entries, [html("div", { class: "tools" }, themeSwitch(), opener)]);
  const brand = html("p", { class: "brand" }, html("b", {}, "memlens"), html("span", {}, report.title));
  const main = html("main", { id: "report" }, ...parts.map(({ element }) => element));
  document.getElementById("loading")?.remove();
  document.body.append(html("header", { id: "top" }, brand, nav), main, dialog);
  startTooltips();
  startKeys(dialog);
  openDisclosuresForPrint();
  startRouting();
  followScrolling(nav);
}

try {
  showFleet(readFleet());
  requestAnimationFrame(() => setTimeout(() => performance.mark("memlens-ready")));
} catch (error) {
  const text = error instanceof Error ? error.message : String(error);
  document.getElementById("loading")?.replaceChildren(`This report cannot be shown: ${text}`);
  throw error;
}

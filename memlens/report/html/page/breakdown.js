// What the resident memory consists of.

import { html, section } from "./dom.js";
import { formatBytes, formatShare } from "./format.js";
import { quantity, termText } from "./quantity.js";
import { explain } from "./tooltip.js";

/** @import { Part } from "./document" */

const BREAKDOWN_COLOURS = 6;

/**
 * Return the section of the breakdown of the resident memory.
 * @param {{rss_bytes: number, parts: Part[]}} breakdown
 */
export function breakdownSection(breakdown) {
  const total = breakdown.rss_bytes;
  const parts = breakdown.parts.filter((part) => part.bytes > 0);
  const sum = parts.reduce((all, part) => all + part.bytes, 0);
  const whole = Math.max(total, sum, 1);
  const bar = html("div", { class: "stack", role: "img", "aria-label": barLabel(parts, whole) });
  parts.forEach((part, i) => {
    const piece = html("span", { class: `part-${i % BREAKDOWN_COLOURS}` });
    piece.style.width = `${(100 * part.bytes) / whole}%`;
    explain(
      piece,
      `${part.label}: ${formatBytes(part.bytes)}, ${formatShare(part.bytes / whole)}\n${part.help}`,
      false,
    );
    bar.append(piece);
  });
  const rows = breakdown.parts.flatMap((part) => partRows(part, whole, 0, parts.indexOf(part)));
  const rest = total - sum;
  const note =
    rest > 0.005 * whole
      ? `${formatBytes(rest)} of the resident memory is in none of the parts.`
      : rest < -0.005 * whole
        ? "Together the parts are more than the resident memory, because some of them are not in physical memory now."
        : "";
  return section(
    "breakdown",
    "What the process's memory consists of",
    "",
    html(
      "p",
      {},
      quantity(total, "bytes", termText("resident", "The physical memory of the process.")),
      " resident memory",
    ),
    bar,
    html(
      "div",
      {
        class: "scroll",
        tabindex: 0,
        role: "region",
        "aria-label": "Parts of the resident memory",
      },
      html(
        "table",
        { class: "plain parts" },
        html(
          "thead",
          {},
          html(
            "tr",
            {},
            html("th", { scope: "col" }, "Part"),
            html("th", { scope: "col", class: "number" }, "Size"),
            html("th", { scope: "col", class: "number" }, "Share"),
            html("th", { scope: "col" }, "What it is"),
          ),
        ),
        html("tbody", {}, ...rows),
      ),
    ),
    note ? html("p", { class: "note" }, note) : null,
  );
}

/**
 * @param {Part[]} parts
 * @param {number} whole
 */
function barLabel(parts, whole) {
  return parts.map((part) => `${part.label} ${formatShare(part.bytes / whole)}`).join(", ");
}

/**
 * @param {Part} part
 * @param {number} whole
 * @param {number} depth
 * @param {number} colour the place of the part in the bar, or -1
 * @returns {HTMLElement[]}
 */
function partRows(part, whole, depth, colour) {
  const swatch =
    depth === 0 && colour >= 0
      ? html("i", { class: `swatch part-${colour % BREAKDOWN_COLOURS}` })
      : null;
  const row = html(
    "tr",
    { class: depth ? "inner" : null },
    html("th", { scope: "row" }, swatch, part.label),
    html("td", { class: "number" }, quantity(part.bytes, "bytes", part.help)),
    html("td", { class: "number" }, formatShare(part.bytes / whole)),
    html("td", { class: "what" }, part.help),
  );
  const inner = (part.parts ?? []).flatMap((one) => partRows(one, whole, depth + 1, -1));
  return [row, ...inner];
}

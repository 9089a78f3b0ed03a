// The call paths that allocate what accumulates, and the source of the lines.

import { html } from "./dom.js";
import { baseName, formatShare } from "./format.js";
import { quantity, termText } from "./quantity.js";
import { explain } from "./tooltip.js";

/** @import { Frame, Site, Source, Suspect } from "./document" */

const SHOWN_CALLERS = 4;

/**
 * Return where what accumulates was allocated; null if nothing is known of it.
 * @param {Suspect} suspect
 */
export function whereAllocated(suspect) {
  if (!suspect.sites.length && !suspect.source.length) return null;
  const sites = suspect.sites.map(siteItem);
  const name = holderName(suspect.holder);
  const [first, ...others] = [...suspect.source].sort(
    (a, b) => Number(namesHolder(b, name)) - Number(namesHolder(a, name)),
  );
  return html(
    "div",
    { class: "where" },
    html("h4", {}, suspect.sites.length ? "Allocated at" : "In the source"),
    sites.length ? html("ol", { class: "sites" }, ...sites) : null,
    first ? sourceBlock(first, name) : null,
    others.length
      ? html(
          "details",
          {},
          html(
            "summary",
            {},
            `${others.length} more ${others.length === 1 ? "place" : "places"} in the source`,
          ),
          ...others.map((source) => sourceBlock(source, name)),
        )
      : null,
  );
}

/** @param {Site} site */
function siteItem(site) {
  const [innermost, ...callers] = site.frames;
  const numbersOfSite = [];
  if (site.share !== null && site.share !== undefined) {
    const share = html("span", { class: "quantity" }, formatShare(site.share));
    numbersOfSite.push(
      explain(
        share,
        termText("share", "The share of the suspect's growth that this call path allocated."),
      ),
    );
  }
  if (site.bytes !== null && site.bytes !== undefined) {
    numbersOfSite.push(
      quantity(
        site.bytes,
        "bytes",
        termText("site_bytes", "Live memory that this call path allocated."),
      ),
    );
  }
  /** @param {Frame} frame */
  const frameText = (frame) => [
    html("code", {}, frame.function),
    " ",
    explain(
      html("span", { class: "place" }, `${baseName(frame.file)}:${frame.line}`),
      `${frame.file}:${frame.line}`,
    ),
  ];
  const shown = callers.slice(0, SHOWN_CALLERS).map((frame) => html("li", {}, ...frameText(frame)));
  const left = callers.length - shown.length;
  return html(
    "li",
    {},
    html(
      "p",
      { class: "site" },
      ...(innermost ? frameText(innermost) : ["unknown"]),
      html("span", { class: "shares" }, ...numbersOfSite),
    ),
    shown.length
      ? html(
          "ol",
          { class: "callers", "aria-label": "Called by" },
          ...shown,
          left > 0 ? html("li", {}, `${left} more`) : null,
        )
      : null,
  );
}

/**
 * Return the name by which the code refers to a holder: "_sessions" of "shop.store._sessions".
 * @param {string} holder
 */
function holderName(holder) {
  return holder.match(/[\p{L}_][\p{L}\p{N}_]{2,}(?=[^\p{L}\p{N}_]*$)/u)?.[0] ?? "";
}

/**
 * Return whether the line that allocates also names the holder: there, elements are added.
 * @param {Source} source
 * @param {string} name
 */
function namesHolder(source, name) {
  const line = source.lines[source.line - source.first_line] ?? "";
  return name !== "" && line.split(/[^\p{L}\p{N}_]+/u).includes(name);
}

/**
 * @param {Source} source
 * @param {string} name of the holder
 */
function sourceBlock(source, name) {
  const mark = namesHolder(source, name) ? `allocates, and uses ${name}` : "allocates";
  const lines = source.lines.map((text, i) => {
    const line = source.first_line + i;
    const isMarked = line === source.line;
    const note = isMarked ? html("span", { class: "allocates" }, mark) : null;
    return html(
      "li",
      { class: isMarked ? "marked" : null, value: line },
      html("code", {}, text || " "),
      note,
    );
  });
  const label = `${source.file}, line ${source.line}${source.function ? `, in ${source.function}` : ""}`;
  return html(
    "figure",
    { class: "source" },
    html("figcaption", {}, label),
    html(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": `Source of ${label}` },
      html("ol", {}, ...lines),
    ),
  );
}

// The call paths that allocate what accumulates, and the source of the lines.

import { html } from "./dom.js";
import { baseName, formatShare } from "./format.js";
import { originOf } from "./flame_model.js";
import { routeHash } from "./links.js";
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
  const uses = suspect.source.filter((source) => source.shows !== "allocates");
  const [first, ...others] = suspect.source
    .filter((source) => source.shows === "allocates")
    .sort((a, b) => Number(namesHolder(b, name)) - Number(namesHolder(a, name)));
  const hasMore = sites.length > 0 || first !== undefined;
  return html(
    "div",
    { class: "where" },
    uses.length ? html("h4", {}, "Uses the holder here") : null,
    ...uses.map((source, i) => {
      const block = sourceBlock(source, name);
      block.id = keepingId(suspect, i);
      block.tabIndex = -1;
      return block;
    }),
    hasMore ? html("h4", {}, sites.length ? "Allocated at" : "In the source") : null,
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

/**
 * Return the identifier of the source of a function that uses a suspect's holder.
 * @param {Suspect} suspect
 * @param {number} index
 */
function keepingId(suspect, index) {
  return `suspect-${suspect.id}-use-${index + 1}`;
}

/**
 * Return the advice about a suspect; the functions that it names lead to the lines that use the
 * holder, where the report has them.
 * @param {Suspect} suspect
 */
export function adviceParts(suspect) {
  /** @type {(string | HTMLElement)[]} */
  const parts = [];
  const rest = suspect.advice ?? "";
  const uses = suspect.source.filter((source) => source.shows !== "allocates");
  const named = uses
    .map((source, i) => ({ source, i, at: rest.indexOf(` ${source.function ?? ""} (`) + 1 }))
    .filter(({ at, source }) => at > 0 && source.function)
    .sort((a, b) => a.at - b.at);
  let from = 0;
  for (const { source, i, at } of named) {
    const end = rest.indexOf(")", at) + 1;
    if (at < from || !end) continue;
    const link = html(
      "a",
      { href: routeHash(keepingId(suspect, i)) },
      html("code", {}, `${source.function} (${baseName(source.file)}:${source.line})`),
    );
    const does = source.shows === "keeps" ? "The line that keeps it" : "The line that uses it";
    parts.push(rest.slice(from, at), explain(link, `${source.file}:${source.line}\n${does}.`));
    from = end;
  }
  return [...parts, rest.slice(from)];
}

/** @param {Site} site */
function siteItem(site) {
  const { frame: innermost, callers, inner } = splitSite(site);
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
    inner.length
      ? html(
          "p",
          { class: "inner-calls" },
          "inside ",
          ...inner.flatMap((frame, i) => [i ? " ← " : "", ...frameText(frame)]),
        )
      : null,
  );
}

/**
 * Return the innermost call of the program at a site, its callers, and the calls of libraries in it.
 * @param {Site} site
 */
export function splitSite(site) {
  const own = Math.max(
    site.frames.findIndex((frame) => originOf(frame.file) === "program"),
    0,
  );
  return {
    frame: site.frames[own],
    callers: site.frames.slice(own + 1),
    inner: site.frames.slice(0, own),
  };
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
function markText(source, name) {
  if (source.shows === "keeps") return "keeps it here";
  if (source.shows === "uses") return "uses it here";
  return namesHolder(source, name) ? `allocates, and uses ${name}` : "allocates";
}

/**
 * @param {Source} source
 * @param {string} name of the holder
 */
function sourceBlock(source, name) {
  const mark = markText(source, name);
  const indents = source.lines.filter((text) => text.trim()).map((text) => text.search(/\S/));
  const indent = Math.min(...indents, 80);
  const lines = source.lines.map((text, i) => {
    const line = source.first_line + i;
    const isMarked = line === source.line;
    const note = isMarked ? html("span", { class: "allocates" }, mark) : null;
    return html(
      "li",
      { class: isMarked ? "marked" : null, value: line },
      html("code", {}, text.slice(indent) || " "),
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

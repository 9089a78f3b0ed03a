// The leaks of a fleet as cards: what holds it, since which release, in how many hosts, what to do.

import { html, section } from "./dom.js";
import { formatCount, formatShare, formatValue } from "./format.js";
import { routeHash } from "./links.js";

/** @import { Cell, FleetLeak, FleetService, Unit } from "./document" */

/**
 * Return the section of the leaks of a service.
 * @param {FleetService} service
 * @param {string} id
 * @param {string} title
 */
export function fleetLeaks(service, id, title) {
  const left = service.leak_count - service.leaks.length;
  return section(
    id,
    title,
    "What grows in the processes, the most important first.",
    ...service.leaks.map((leak, i) => leakCard(leak, `${id}-${i + 1}`, i + 1)),
    left > 0 ? html("p", { class: "note" }, `and ${formatCount(left)} more`) : null,
  );
}

/**
 * @param {FleetLeak} leak
 * @param {string} id
 * @param {number} number
 */
function leakCard(leak, id, number) {
  /** @type {(label: string, value: Cell, unit: Unit) => HTMLElement | null} */
  const item = (label, value, unit) =>
    value === null
      ? null
      : html("div", {}, html("dt", {}, label), html("dd", {}, formatValue(value, unit)));
  /** @type {(label: string, text: string | null) => HTMLElement | null} */
  const line = (label, text) =>
    text ? html("p", {}, html("span", { class: "note" }, `${label}: `), html("code", {}, text)) : null;
  const link = routeHash(`table-${leak.table}`, { filter: leak.fingerprint });
  return html(
    "article",
    { id, class: "card", "aria-labelledby": `${id}-heading`, tabindex: -1 },
    html(
      "header",
      {},
      html("span", { class: "number", "aria-hidden": "true" }, number),
      html("h3", { id: `${id}-heading` }, html("code", {}, leak.holder)),
      html("a", { href: link }, leak.fingerprint),
    ),
    html(
      "dl",
      { class: "facts" },
      item("Status", leak.status, "text"),
      item("First release", leak.first_release, "text"),
      item("Growth of a process", leak.growth_bytes_per_hour, "bytes_per_hour"),
      item("Growth in all", leak.growth_bytes, "change_bytes"),
      item("Since", leak.since, "time"),
    ),
    shareBar(leak),
    line("Held by", leak.held_by),
    line("Pattern", leak.pattern),
    line("Allocated at", leak.site),
    leak.suggestion
      ? html("div", { class: "change" }, html("h4", {}, "What to do"), html("p", {}, leak.suggestion))
      : null,
  );
}

/** @param {FleetLeak} leak */
function shareBar(leak) {
  const { share, hosts, of_hosts: all } = leak;
  if (hosts === null) return null;
  const of = all === null ? "" : ` of ${formatCount(all)}`;
  const text = `${formatCount(hosts)}${of} ${leak.unit}${share === null ? "" : ` (${formatShare(share)})`}`;
  if (share === null) return html("p", {}, `In ${text}`);
  const part = html("span", { class: "part-0" });
  part.style.width = `${Math.min(100 * share, 100).toFixed(2)}%`;
  part.style.minWidth = "3px";
  return html(
    "div",
    { class: "share-of-hosts" },
    html("p", {}, `In ${text}`),
    html("div", { class: "stack", "aria-hidden": "true" }, part),
  );
}

// The list of the sections, beside the report or above it, and the mark of the one in sight.

import { html } from "./dom.js";

/** @typedef {{id: string, label: string, note?: string}} Entry */

/**
 * Return the navigation.
 * @param {Entry[]} entries
 * @param {Node[]} tools what stands below the entries
 */
export function navigation(entries, tools) {
  const items = entries.map(({ id, label, note }) =>
    html(
      "li",
      {},
      html(
        "a",
        { href: `#${encodeURIComponent(id)}`, "data-section": id },
        label,
        note ? html("span", {}, note) : null,
      ),
    ),
  );
  return html(
    "nav",
    { id: "contents", "aria-label": "Contents" },
    html("ul", {}, ...items),
    ...tools,
  );
}

/**
 * Mark the entry of the section that is in sight.
 * @param {HTMLElement} nav
 */
export function followScrolling(nav) {
  const links = [...nav.querySelectorAll("a[data-section]")];
  const sections = links.map((link) =>
    document.getElementById(link.getAttribute("data-section") ?? ""),
  );
  let isWaiting = false;
  const mark = () => {
    isWaiting = false;
    let current = 0;
    sections.forEach((one, i) => {
      if (one && one.getBoundingClientRect().top < window.innerHeight * 0.3) current = i;
    });
    links.forEach((link, i) => {
      if (i === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  };
  window.addEventListener(
    "scroll",
    () => {
      if (!isWaiting) requestAnimationFrame(mark);
      isWaiting = true;
    },
    { passive: true },
  );
  mark();
}

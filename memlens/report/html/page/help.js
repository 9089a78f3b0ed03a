// The keys of the page: "?" shows them, "/" goes to the search of the view in sight.

import { button, html } from "./dom.js";

const KEYS = [
  ["/", "search or filter the view in sight"],
  ["Tab", "to the next view, number or control; each shows what it means"],
  ["← → ↑ ↓", "move in a picture or a table"],
  ["Enter", "zoom in, look inside, sort by a column"],
  ["Esc", "zoom out; close a text"],
  ["Home", "show all of a picture"],
  ["?", "this list"],
];

/** Return the dialog with the keys and the button that opens it. */
export function helpDialog() {
  const rows = KEYS.map(([key, text]) =>
    html("div", {}, html("dt", {}, html("kbd", {}, key)), html("dd", {}, text)),
  );
  const dialog = html(
    "dialog",
    { "aria-labelledby": "help-heading" },
    html("h2", { id: "help-heading" }, "Keys"),
    html("dl", { class: "keys-list" }, ...rows),
    html(
      "p",
      {},
      "Every view has a link: its address is in the address bar, and the headings are links.",
    ),
  );
  dialog.append(button("Close", () => dialog.close()));
  return { dialog, opener: button("Keys ?", () => dialog.showModal(), { class: "quiet" }) };
}

/**
 * Listen for the keys of the page.
 * @param {HTMLDialogElement} dialog
 */
export function startKeys(dialog) {
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const isTyping = target instanceof HTMLInputElement && target.type !== "radio";
    if (
      isTyping ||
      target instanceof HTMLSelectElement ||
      event.ctrlKey ||
      event.metaKey ||
      event.altKey
    )
      return;
    if (event.key === "?" && !dialog.open) {
      event.preventDefault();
      dialog.showModal();
    } else if (event.key === "/" && !dialog.open) {
      const field = nearestSearch();
      if (!field) return;
      event.preventDefault();
      field.focus();
      field.select();
    }
  });
}

/** Return the search field of the view with the focus, else of the view nearest to the middle. */
function nearestSearch() {
  const inside = document.activeElement?.closest("section")?.querySelector('input[type="search"]');
  if (inside instanceof HTMLInputElement) return inside;
  const middle = window.innerHeight / 2;
  /** @type {HTMLInputElement | null} */
  let nearest = null;
  let least = Infinity;
  for (const field of document.querySelectorAll('input[type="search"]')) {
    const place = field.closest("section")?.getBoundingClientRect();
    if (!place || !(field instanceof HTMLInputElement)) continue;
    const distance = place.top > middle ? place.top - middle : Math.max(middle - place.bottom, 0);
    if (distance < least) [least, nearest] = [distance, field];
  }
  return nearest;
}

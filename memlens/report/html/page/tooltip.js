// One tooltip for the page. It shows on hover and on focus, and Escape hides it.

import { html } from "./dom.js";

/** @type {WeakMap<Element, string | (() => string)>} */
const explanations = new WeakMap();
const TOOLTIP_GAP_PX = 8;
const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

/** @type {HTMLElement | null} */
let tooltipBox = null;
/** @type {Element | null} */
let tooltipOwner = null;

/**
 * Show `text` when the pointer or the focus is on the element. The first of several lines is the
 * title. An element that cannot have the focus gets it, unless `focusable` is false.
 * @template {Element} T
 * @param {T} element
 * @param {string | (() => string)} text
 * @param {boolean} [focusable]
 * @returns {T}
 */
export function explain(element, text, focusable = true) {
  explanations.set(element, text);
  element.setAttribute("data-explained", "");
  if (focusable && !element.matches(FOCUSABLE)) element.setAttribute("tabindex", "0");
  return element;
}

/** Hide the tooltip. */
export function hideTooltip() {
  if (tooltipBox) tooltipBox.hidden = true;
  if (tooltipOwner) tooltipOwner.removeAttribute("aria-describedby");
  tooltipOwner = null;
}

/**
 * Show lines of text at a point of the window.
 * @param {string} text
 * @param {number} left
 * @param {number} top
 * @param {number} bottom where the explained thing ends: the tooltip is below it if it fits there
 */
export function showTooltip(text, left, top, bottom) {
  if (!tooltipBox) return;
  const [title = "", ...rest] = text.split("\n");
  tooltipBox.replaceChildren(
    html(rest.length ? "strong" : "span", {}, title),
    ...rest.map((line) => html("span", {}, line)),
  );
  tooltipBox.hidden = false;
  const size = tooltipBox.getBoundingClientRect();
  const maxLeft = document.documentElement.clientWidth - size.width - TOOLTIP_GAP_PX;
  const fitsBelow = bottom + TOOLTIP_GAP_PX + size.height < window.innerHeight;
  const y = fitsBelow ? bottom + TOOLTIP_GAP_PX : Math.max(0, top - TOOLTIP_GAP_PX - size.height);
  tooltipBox.style.left = `${Math.max(TOOLTIP_GAP_PX, Math.min(left, maxLeft))}px`;
  tooltipBox.style.top = `${y}px`;
}

/**
 * Show what the pointer is on when it moves. "mouseover" would come also when the page moves below it.
 * @param {MouseEvent} event
 */
function showHovered(event) {
  const owner = event.target instanceof Element ? event.target.closest("[data-explained]") : null;
  if (owner && owner !== tooltipOwner) showExplanationOf(owner);
}

/** @param {Event} event */
function showExplanation(event) {
  const owner = event.target instanceof Element ? event.target.closest("[data-explained]") : null;
  if (owner) showExplanationOf(owner);
}

/** @param {Element} owner */
function showExplanationOf(owner) {
  const text = explanations.get(owner);
  const lines = typeof text === "function" ? text() : text;
  if (!lines) return;
  hideTooltip();
  const place = owner.getBoundingClientRect();
  showTooltip(lines, place.left, place.top, place.bottom);
  owner.setAttribute("aria-describedby", "tooltip");
  tooltipOwner = owner;
}

/** @param {Event} event */
function hideExplanation(event) {
  if (!(event.target instanceof Element)) return;
  const owner = event.target.closest("[data-explained]");
  if (owner && owner === tooltipOwner) hideTooltip();
}

/** Keep the tooltip at what has the focus while the page scrolls; else hide it. */
function followOwner() {
  const owner = tooltipOwner;
  if (owner && owner === document.activeElement) showExplanationOf(owner);
  else if (owner) hideTooltip();
}

/** Put the tooltip into the page and listen for hover and focus. */
export function startTooltips() {
  tooltipBox = html("div", { id: "tooltip", role: "tooltip", hidden: true });
  document.body.append(tooltipBox);
  document.addEventListener("mousemove", showHovered);
  document.addEventListener("focusin", showExplanation);
  document.addEventListener("mouseout", hideExplanation);
  document.addEventListener("focusout", hideExplanation);
  document.addEventListener("scroll", followOwner, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hideTooltip();
  });
}

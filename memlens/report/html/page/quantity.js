// Numbers that explain themselves, and the terms that the explanations use.

import { html } from "./dom.js";
import { exactValue, formatValue } from "./format.js";
import { explain } from "./tooltip.js";

/** @import { Cell, Unit } from "./document" */

/** @type {Map<string, string>} */
const glossary = new Map();

/**
 * Take the texts of the document.
 * @param {Record<string, string>} texts
 */
export function setGlossary(texts) {
  for (const [term, text] of Object.entries(texts)) glossary.set(term, text);
}

/**
 * Return the explanation of a term: the text of the document, or `otherwise`.
 * @param {string} term
 * @param {string} [otherwise]
 */
export function termText(term, otherwise = "") {
  return glossary.get(term) ?? otherwise;
}

/**
 * Return the lines that explain a value: all its digits, and what it means.
 * @param {Cell} value
 * @param {Unit} unit
 * @param {string} help
 */
export function valueText(value, unit, help) {
  const exact = exactValue(value, unit) || formatValue(value, unit);
  return help ? `${exact}\n${help}` : exact;
}

/**
 * Return a number in its unit that explains itself on hover and on focus.
 * @param {number} value
 * @param {Unit} unit
 * @param {string} help
 */
export function quantity(value, unit, help) {
  const element = html("span", { class: "quantity" }, formatValue(value, unit));
  return explain(element, valueText(value, unit, help));
}

/**
 * Return a label and a number below each other, for a row of facts.
 * @param {string} label
 * @param {Node} value
 */
export function fact(label, value) {
  return html("div", { class: "fact" }, html("dt", {}, label), html("dd", {}, value));
}

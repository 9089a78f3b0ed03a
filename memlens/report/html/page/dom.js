// Elements are made here. Text enters the page as text nodes only, never as markup.

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined>} Attributes */

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/** @type {{details: HTMLDetailsElement, fill: () => void}[]} */
const disclosures = [];

/**
 * @param {Element} element
 * @param {Attributes} attributes
 * @param {Child[]} children
 */
function fillElement(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/**
 * Return a new HTML element. Attributes that are null or false are left out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function html(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  fillElement(element, attributes, children);
  return element;
}

/**
 * Return a new SVG element.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG_NAMESPACE, tag);
  fillElement(element, attributes, children);
  return element;
}

/**
 * Return a button with a text.
 * @param {string} text
 * @param {() => void} action
 * @param {Attributes} [attributes]
 */
export function button(text, action, attributes = {}) {
  const element = html("button", { type: "button", ...attributes }, text);
  element.addEventListener("click", action);
  return element;
}

/**
 * Return a section of the page: a heading that is a link to the section, a sentence, the contents.
 * @param {string} id the hash of the section
 * @param {string} title
 * @param {string} help
 * @param {...Child} children
 */
export function section(id, title, help, ...children) {
  const heading = `${id}-heading`;
  return html(
    "section",
    { id, "aria-labelledby": heading, tabindex: -1 },
    html("h2", { id: heading }, html("a", { href: `#${id}`, class: "anchor" }, title)),
    help ? html("p", { class: "help" }, help) : null,
    ...children,
  );
}

/**
 * Return a part that is closed until the reader opens it. Its body is made when it is first opened
 * and again by `refresh`. Printing opens it.
 * @param {string} summary
 * @param {() => Child[]} makeBody
 * @returns {{element: HTMLDetailsElement, refresh: () => void}}
 */
export function disclosure(summary, makeBody) {
  const body = html("div", { class: "disclosed" });
  const element = html("details", {}, html("summary", {}, summary), body);
  let isFilled = false;
  const fill = () => {
    if (isFilled) return;
    isFilled = true;
    body.replaceChildren();
    fillElement(body, {}, makeBody());
  };
  element.addEventListener("toggle", () => {
    if (element.open) fill();
  });
  disclosures.push({ details: element, fill });
  const refresh = () => {
    isFilled = false;
    if (element.open) fill();
  };
  return { element, refresh };
}

/** Open all that is closed while the page is printed, and close them again. */
export function openDisclosuresForPrint() {
  /** @type {HTMLDetailsElement[]} */
  let opened = [];
  window.addEventListener("beforeprint", () => {
    for (const { details, fill } of disclosures) if (details.isConnected) fill();
    opened = [...document.querySelectorAll("details")].filter((details) => !details.open);
    for (const details of opened) details.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
    opened = [];
  });
}

/**
 * Return a small table that stands in for a picture.
 * @param {string} caption
 * @param {string[]} headers the first column is text, the others are numbers
 * @param {Child[][]} rows
 */
export function plainTable(caption, headers, rows) {
  const head = headers.map((text, i) =>
    html("th", { scope: "col", class: i ? "number" : null }, text),
  );
  const body = rows.map((row) => {
    const cells = row.map((cell, i) =>
      i ? html("td", { class: "number" }, cell) : html("th", { scope: "row" }, cell),
    );
    return html("tr", {}, ...cells);
  });
  return html(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    html(
      "table",
      { class: "plain" },
      html("caption", { class: "unseen" }, caption),
      html("thead", {}, html("tr", {}, ...head)),
      html("tbody", {}, ...body),
    ),
  );
}

/**
 * Call `action` when `element` gets another width, at most once a frame.
 * @param {Element} element
 * @param {() => void} action
 */
export function onResize(element, action) {
  let width = -1;
  const observer = new ResizeObserver((entries) => {
    const now = Math.round(entries[entries.length - 1]?.contentRect.width ?? 0);
    if (now === width) return;
    width = now;
    requestAnimationFrame(action);
  });
  observer.observe(element);
}

/**
 * Return the way to a node of a tree, each step a button but the last.
 * @param {{node: number, text: string}[]} entries
 * @param {(node: number) => void} open
 */
export function crumbList(entries, open) {
  const items = entries.map(({ node, text }, i) => {
    const isLast = i === entries.length - 1;
    const step = isLast
      ? html("span", { "aria-current": "true" }, text)
      : button(text, () => open(node));
    return html("li", {}, step);
  });
  return html("ol", {}, ...items);
}

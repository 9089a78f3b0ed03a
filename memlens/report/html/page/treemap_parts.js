// How the boxes of a treemap are drawn, and what their colours mean.

import { drawLabel, drawOutline, mixColours, prepareCanvas } from "./canvas.js";
import { html } from "./dom.js";
import { formatValue } from "./format.js";
import { themeColours } from "./theme.js";
import { FAMILY_LABELS } from "./treemap_model.js";

/** @import { Family, TreemapBox, TreemapModel } from "./treemap_model.js" */

const TREEMAP_COLOURS = {
  container: "--map-container",
  instance: "--map-instance",
  text: "--map-text",
  code: "--map-code",
  rest: "--map-rest",
  surface: "--surface",
  ink: "--map-ink",
  suspect: "--suspect",
  focus: "--focus",
};

/**
 * Return the height of the picture for a width, in pixels.
 * @param {number} width
 */
export function treemapHeight(width) {
  return Math.round(Math.max(300, Math.min(540, width * 0.55)));
}

/**
 * Return what the colours mean.
 * @param {boolean} hasSuspects
 */
export function treemapLegend(hasSuspects) {
  const families = /** @type {Family[]} */ (Object.keys(FAMILY_LABELS));
  const entries = families.map((family) =>
    html("li", {}, html("i", { class: `swatch map-${family}` }), FAMILY_LABELS[family]),
  );
  const suspect = html(
    "li",
    {},
    html("i", { class: "swatch map-suspect" }),
    "the holder of a suspect",
  );
  return html(
    "ul",
    { class: "legend", "aria-label": "Colours" },
    ...entries,
    hasSuspects ? suspect : null,
  );
}

/**
 * Draw the boxes of a treemap.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width in pixels
 * @param {number} height in pixels
 * @param {TreemapModel} model
 * @param {TreemapBox[]} boxes
 * @param {{suspects: Set<number>, hovered: number, cursor: number}} marked -1: none
 */
export function drawTreemap(canvas, width, height, model, boxes, marked) {
  const context = prepareCanvas(canvas, width, height);
  const colours = themeColours(TREEMAP_COLOURS);
  for (const box of boxes) {
    const { rect, node } = box;
    const paleness = box.header ? 0.62 - 0.08 * box.depth : 0.12;
    let fill = mixColours(colours[model.family(node)], colours.surface, paleness);
    if (node === marked.hovered) fill = mixColours(fill, colours.ink, 0.16);
    context.fillStyle = fill;
    context.fillRect(rect.left, rect.top, rect.width - 1, rect.height - 1);
    labelTreemapBox(context, model, box, colours.ink);
  }
  for (const box of boxes) {
    if (marked.suspects.has(box.node)) drawOutline(context, box.rect, colours.suspect, 3);
    if (box.node === marked.cursor) drawOutline(context, box.rect, colours.focus, 3);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {TreemapModel} model
 * @param {TreemapBox} box
 * @param {string} colour
 */
function labelTreemapBox(context, model, box, colour) {
  const { rect, node, header } = box;
  if (rect.height < 16 || (box.isFilled && !header)) return;
  const size = formatValue(model.value(node), "bytes");
  const line = { left: rect.left, top: rect.top + 1, width: rect.width, height: header || 16 };
  if (header) {
    drawLabel(context, `${model.name(node)}  ${size}`, line, colour);
    return;
  }
  drawLabel(context, model.name(node), line, colour);
  if (rect.height > 34) drawLabel(context, size, { ...line, top: rect.top + 16 }, colour);
}

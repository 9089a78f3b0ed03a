// How the boxes of a treemap are drawn, and what their colours mean.

import { drawLabel, drawOutline, mixColours, prepareCanvas } from "./canvas.js";
import { html } from "./dom.js";
import { formatCount, formatValue } from "./format.js";
import { themeColours } from "./theme.js";
import { FAMILY_LABELS } from "./treemap_model.js";

/** @import { Rect } from "./canvas.js" */
/** @import { Family, TreemapBox, TreemapModel } from "./treemap_model.js" */

const HATCH_PX = 7;
const LETTER_PX = 7;
const MIN_LABELLED_PX = 84; // a box that cuts its label to less has none
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
    let fill = mixColours(colours[box.grouped ? "rest" : model.family(node)], colours.surface, paleness);
    if (node === marked.hovered && !box.grouped) fill = mixColours(fill, colours.ink, 0.16);
    context.fillStyle = fill;
    context.fillRect(rect.left, rect.top, rect.width - 1, rect.height - 1);
    if (box.grouped) hatch(context, rect, colours.surface);
    labelTreemapBox(context, model, box, colours.ink);
  }
  for (const box of boxes) {
    if (box.grouped) continue;
    if (marked.suspects.has(box.node)) drawOutline(context, box.rect, colours.suspect, 3);
    if (box.node === marked.cursor) drawOutline(context, box.rect, colours.focus, 3);
  }
}

/**
 * Draw slanted lines over a box: it stands for many objects.
 * @param {CanvasRenderingContext2D} context
 * @param {Rect} rect
 * @param {string} colour
 */
function hatch(context, rect, colour) {
  context.save();
  context.beginPath();
  context.rect(rect.left, rect.top, rect.width - 1, rect.height - 1);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = rect.left - rect.height; x < rect.left + rect.width; x += HATCH_PX) {
    context.moveTo(x, rect.top + rect.height);
    context.lineTo(x + rect.height, rect.top);
  }
  context.stroke();
  context.restore();
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
  const name = box.grouped ? `${formatCount(box.grouped)} small objects` : model.name(node);
  if (rect.width < Math.min(MIN_LABELLED_PX, name.length * LETTER_PX + 8)) return;
  const size = formatValue(box.grouped ? box.groupedValue : model.value(node), "bytes");
  const line = { left: rect.left, top: rect.top + 1, width: rect.width, height: header || 16 };
  if (header) {
    drawLabel(context, `${name}  ${size}`, line, colour);
    return;
  }
  drawLabel(context, name, line, colour);
  if (rect.height > 34) drawLabel(context, size, { ...line, top: rect.top + 16 }, colour);
}

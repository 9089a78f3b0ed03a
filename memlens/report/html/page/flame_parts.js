// The elements of a flame graph, and how its boxes are drawn.

import {
  drawLabel,
  drawOutline,
  mixColours,
  pictureFrame,
  prepareCanvas,
  textFraction,
} from "./canvas.js";
import { html } from "./dom.js";
import { ORIGIN_LABELS } from "./flame_model.js";
import { formatValue } from "./format.js";
import { themeColours } from "./theme.js";

/** @import { Rect } from "./canvas.js" */
/** @import { Flame } from "./document" */
/** @import { FlameBox, FlameModel, Origin } from "./flame_model.js" */

export const FLAME_ROW_PX = 20;
const FLAME_COLOURS = {
  program: "--flame-program",
  library: "--flame-library",
  python: "--flame-python",
  surface: "--surface",
  ink: "--flame-ink",
  found: "--found",
  foundInk: "--found-ink",
  focus: "--focus",
};

/**
 * Return the elements that the view fills.
 * @param {Flame} flame
 * @param {string} id
 */
export function flameParts(flame, id) {
  const { frame, canvas } = pictureFrame(`${flame.label}, as a flame graph`, `${id}-keys`);
  const select = html("select", {});
  for (const measure of flame.measures) {
    select.append(html("option", { value: measure.key }, measure.label));
  }
  return {
    frame,
    canvas,
    select,
    crumbs: html("nav", { class: "crumbs", "aria-label": `${flame.label}: zoomed to` }),
    status: html("p", { class: "status", role: "status" }),
    announcement: html("p", { class: "unseen", "aria-live": "polite" }),
    input: html("input", {
      type: "search",
      placeholder: "Function or file",
      "aria-label": `Search ${flame.label}`,
      autocomplete: "off",
      spellcheck: "false",
    }),
  };
}

/**
 * Return what the colours mean.
 * @param {Flame} flame
 * @param {Origin[]} origins of the files
 */
export function flameLegend(flame, origins) {
  const present = new Set(flame.file.map((file) => origins[file]));
  const entries = /** @type {Origin[]} */ (["program", "library", "python"])
    .filter((origin) => present.has(origin))
    .map((origin) =>
      html("li", {}, html("i", { class: `swatch ${origin}` }), ORIGIN_LABELS[origin]),
    );
  return html("ul", { class: "legend", "aria-label": "Colours" }, ...entries);
}

/**
 * @param {FlameBox} box
 * @returns {Rect}
 */
export function flameRect(box) {
  return { left: box.left, top: box.row * FLAME_ROW_PX, width: box.width, height: FLAME_ROW_PX };
}

/**
 * Draw the boxes of a flame graph.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width in pixels
 * @param {FlameModel} model
 * @param {FlameBox[]} boxes
 * @param {{matches: Uint8Array | null, hovered: number, cursor: number}} marked cursor: -1 for none
 */
export function drawFlame(canvas, width, model, boxes, marked) {
  const rows = 1 + boxes.reduce((most, box) => Math.max(most, box.row), 0);
  const context = prepareCanvas(canvas, width, rows * FLAME_ROW_PX + 1);
  const colours = themeColours(FLAME_COLOURS);
  for (const box of boxes) {
    const isFound = marked.matches?.[box.node];
    const shade = textFraction(model.name(box.node) + model.file(box.node)) * 0.4;
    let fill = mixColours(colours[model.origin(box.node)], colours.surface, shade);
    if (isFound) fill = colours.found;
    else if (marked.matches) fill = mixColours(fill, colours.surface, 0.6);
    if (box.node === marked.hovered) fill = mixColours(fill, colours.ink, 0.15);
    const rect = flameRect(box);
    context.fillStyle = fill;
    context.fillRect(rect.left, rect.top, Math.max(rect.width - 1, 0.75), rect.height - 1);
    labelFlameBox(context, model, box, isFound ? colours.foundInk : colours.ink);
  }
  const cursor = boxes.find((box) => box.node === marked.cursor);
  if (cursor) drawOutline(context, flameRect(cursor), colours.focus, 2);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {FlameModel} model
 * @param {FlameBox} box
 * @param {string} colour
 */
function labelFlameBox(context, model, box, colour) {
  const rect = flameRect(box);
  const used = drawLabel(context, model.label(box.node), rect, colour);
  if (!used || box.width < used + 90) return;
  context.globalAlpha = 0.8;
  context.textAlign = "right";
  const text = formatValue(model.value(box.node), model.unit);
  context.fillText(text, rect.left + rect.width - 7, rect.top + rect.height / 2 + 0.5);
  context.textAlign = "left";
  context.globalAlpha = 1;
}

// Drawing of labelled boxes on a canvas, sharp on every screen.

import { html } from "./dom.js";

/** @typedef {{left: number, top: number, width: number, height: number}} Rect */

const LABEL_FONT = '12px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace';
const MIN_LABEL_PX = 26;

/** @type {number} the width of a character of the label font, measured once */
let characterWidth = 0;

/**
 * Return a canvas in a frame that can have the focus. The frame says what the picture shows.
 * @param {string} label
 * @param {string} describedBy the id of the text that tells the keys
 */
export function pictureFrame(label, describedBy) {
  const canvas = html("canvas", { "aria-hidden": "true" });
  const frame = html(
    "div",
    {
      class: "picture",
      tabindex: 0,
      role: "group",
      "aria-label": label,
      "aria-describedby": describedBy,
    },
    canvas,
  );
  return { frame, canvas };
}

/**
 * Give a canvas its size in pixels of the screen, clear it, and return its context.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
export function prepareCanvas(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser has no canvas to draw on.");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = LABEL_FONT;
  context.textBaseline = "middle";
  if (!characterWidth) characterWidth = context.measureText("MMMMMMMMMM").width / 10 || 7.2;
  return context;
}

/**
 * Write a label into a box, cut to its width. Nothing is written where only a letter or two fit.
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {Rect} box
 * @param {string} colour
 */
export function drawLabel(context, text, box, colour) {
  const room = box.width - 8;
  if (room < MIN_LABEL_PX) return 0;
  const fitting = Math.floor(room / characterWidth);
  const shown = text.length <= fitting ? text : `${text.slice(0, Math.max(fitting - 1, 1))}…`;
  context.fillStyle = colour;
  context.fillText(shown, box.left + 4, box.top + box.height / 2 + 0.5);
  return shown.length * characterWidth;
}

/**
 * Draw the outline of a box, inside it.
 * @param {CanvasRenderingContext2D} context
 * @param {Rect} box
 * @param {string} colour
 * @param {number} width
 */
export function drawOutline(context, box, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  const inset = width / 2;
  context.strokeRect(
    box.left + inset,
    box.top + inset,
    Math.max(box.width - width, 1),
    Math.max(box.height - width, 1),
  );
}

/**
 * Return a number from 0 to 1 that is always the same for a text.
 * @param {string} text
 */
export function textFraction(text) {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  }
  return ((hash >>> 8) & 0xffff) / 0xffff;
}

/**
 * Return a mix of two colours as the style sheet resolves them, "rgb(r, g, b)".
 * @param {string} from
 * @param {string} to
 * @param {number} share 0: `from`, 1: `to`
 */
export function mixColours(from, to, share) {
  const a = from.match(/[\d.]+/g) ?? [];
  const b = to.match(/[\d.]+/g) ?? [];
  /** @param {number} i */
  const part = (i) => Math.round(Number(a[i] ?? 0) * (1 - share) + Number(b[i] ?? 0) * share);
  return `rgb(${part(0)}, ${part(1)}, ${part(2)})`;
}

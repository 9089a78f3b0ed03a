// What the pictures of boxes do alike with the mouse and the keys.

import { hideTooltip, showTooltip } from "./tooltip.js";

/**
 * Say what is under the mouse, and show whether a click does something there.
 * @param {MouseEvent} event
 * @param {HTMLElement} canvas
 * @param {string[] | null} lines null where nothing is
 */
export function describeUnderMouse(event, canvas, lines) {
  canvas.style.cursor = lines ? "pointer" : "default";
  if (!lines) hideTooltip();
  else showTooltip(lines.join("\n"), event.clientX + 12, event.clientY - 12, event.clientY + 8);
}

/**
 * Do what a key does in a picture; keys of the browser, with a modifier, are left to it.
 * @param {KeyboardEvent} event
 * @param {Record<string, () => void>} actions by the name of the key
 */
export function runKey(event, actions) {
  const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

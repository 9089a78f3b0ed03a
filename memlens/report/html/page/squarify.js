// Squarified layout of a treemap: boxes with areas as their sizes, as near to squares as possible.

/** @import { Rect } from "./canvas.js" */

/**
 * Return a rectangle for each size, in the same order. The sizes fall; together they take the share
 * of `area` that their sum is of `total`.
 * @param {number[]} sizes the largest first
 * @param {number} total
 * @param {Rect} area
 * @returns {Rect[]}
 */
export function squarify(sizes, total, area) {
  /** @type {Rect[]} */
  const placed = [];
  const scale = total > 0 ? (area.width * area.height) / total : 0;
  const room = { ...area };
  let first = 0;
  while (first < sizes.length && room.width > 0 && room.height > 0) {
    const side = Math.min(room.width, room.height);
    let sum = (sizes[first] ?? 0) * scale;
    let end = first + 1;
    let worst = worstRatio(sum, sum, sum, side);
    while (end < sizes.length) {
      const next = (sizes[end] ?? 0) * scale;
      const ratio = worstRatio((sizes[first] ?? 0) * scale, next, sum + next, side);
      if (ratio > worst) break;
      worst = ratio;
      sum += next;
      end += 1;
    }
    placeRow(
      sizes.slice(first, end).map((size) => size * scale),
      sum,
      room,
      placed,
    );
    first = end;
  }
  while (placed.length < sizes.length) {
    placed.push({ left: room.left, top: room.top, width: 0, height: 0 });
  }
  return placed;
}

/**
 * @param {number} largest area in the row
 * @param {number} smallest area in the row
 * @param {number} sum of the areas in the row
 * @param {number} side along which the row lies
 */
function worstRatio(largest, smallest, sum, side) {
  if (sum <= 0 || smallest <= 0) return Infinity;
  const square = sum * sum;
  return Math.max((side * side * largest) / square, square / (side * side * smallest));
}

/**
 * Place a row of areas along the shorter side of the room, and take it off the room.
 * @param {number[]} areas
 * @param {number} sum
 * @param {Rect} room
 * @param {Rect[]} placed
 */
function placeRow(areas, sum, room, placed) {
  const isColumn = room.width >= room.height;
  const side = isColumn ? room.height : room.width;
  const depth = side > 0 ? Math.min(sum / side, isColumn ? room.width : room.height) : 0;
  let at = 0;
  for (const area of areas) {
    const length = sum > 0 ? (side * area) / sum : 0;
    placed.push(
      isColumn
        ? { left: room.left, top: room.top + at, width: depth, height: length }
        : { left: room.left + at, top: room.top, width: length, height: depth },
    );
    at += length;
  }
  if (isColumn) {
    room.left += depth;
    room.width -= depth;
  } else {
    room.top += depth;
    room.height -= depth;
  }
}

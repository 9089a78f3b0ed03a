// What a flame graph shows: sizes of boxes, places of boxes, matches of a search.

import { formatShare, formatValue, placeText } from "./format.js";
import { ColumnTree } from "./tree.js";

/** @import { Flame } from "./document" */
/** @typedef {"program" | "library" | "python"} Origin */
/** @typedef {{node: number, left: number, width: number, row: number}} FlameBox */

/** @type {Record<Origin, string>} */
export const ORIGIN_LABELS = {
  program: "the program",
  library: "installed libraries",
  python: "Python and its standard library",
};

/**
 * Return whose code a file is, by the folder in which it is.
 * @param {string} file
 * @returns {Origin}
 */
export function originOf(file) {
  const path = file.replaceAll("\\", "/");
  if (/\/(site|dist)-packages\//.test(path)) return "library";
  if (!path || path.startsWith("<") || /\/lib\/python\d/i.test(path)) return "python";
  return "program";
}

export class FlameModel {
  /**
   * @param {Flame} flame
   * @param {string} measure the key of the measure that gives the widths
   */
  constructor(flame, measure) {
    this.flame = flame;
    this.measure = flame.measures.find((one) => one.key === measure) ?? flame.measures[0];
    this.unit = this.measure?.unit ?? flame.unit;
    /** @type {number[]} */
    this.values = flame.values[this.measure?.key ?? ""] ?? [];
    this.tree = new ColumnTree(flame.parent, this.values);
    this.origins = flame.files.map(originOf);
    this.total = this.values[0] ?? 0;
    this.twins = this.findTwins();
  }

  /** Return the nodes beside which, under one caller, another line of the same function is. */
  findTwins() {
    /** @type {Set<number>} */
    const twins = new Set();
    /** @type {Map<string, number>} */
    const seen = new Map();
    const { parent, name, file } = this.flame;
    for (let node = 1; node < parent.length; node += 1) {
      const key = `${parent[node]}:${name[node]}:${file[node]}`;
      const twin = seen.get(key);
      if (twin === undefined) seen.set(key, node);
      else twins.add(twin).add(node);
    }
    return twins;
  }

  /**
   * Return the text of a box: the name, and the line where another one has the same name.
   * @param {number} node
   */
  label(node) {
    const line = this.flame.line[node] ?? 0;
    return this.twins.has(node) && line > 0 ? `${this.name(node)} :${line}` : this.name(node);
  }

  /** @param {number} node */
  value(node) {
    return this.values[node] ?? 0;
  }

  /** @param {number} node */
  name(node) {
    return node === 0 ? "all" : (this.flame.names[this.flame.name[node] ?? 0] ?? "");
  }

  /** @param {number} node */
  file(node) {
    return this.flame.files[this.flame.file[node] ?? 0] ?? "";
  }

  /** @param {number} node */
  origin(node) {
    return this.origins[this.flame.file[node] ?? 0] ?? "python";
  }

  /** @param {number} node */
  place(node) {
    return placeText(this.file(node), this.flame.line[node] ?? 0);
  }

  /**
   * Return what a node allocates itself: its total without its callees.
   * @param {number} node
   */
  own(node) {
    let own = this.value(node);
    for (const child of this.tree.children(node)) own -= this.value(child);
    return Math.max(own, 0);
  }

  /**
   * Return lines that tell about a node.
   * @param {number} node
   */
  describe(node) {
    const total = this.value(node);
    const share = this.total ? formatShare(total / this.total) : "–";
    const own = this.own(node);
    const line = this.flame.line[node] ?? 0;
    const place = node && this.file(node) ? `${this.file(node)}${line > 0 ? `:${line}` : ""}` : "";
    return [
      this.name(node),
      place,
      `${formatValue(total, this.unit)} with callees, ${share} of the total`,
      own ? `${formatValue(own, this.unit)} in this function itself` : "",
    ].filter(Boolean);
  }

  /**
   * Return the boxes that are at least a pixel wide, with a node as the full width.
   * @param {number} top
   * @param {number} width in pixels
   */
  boxes(top, width) {
    /** @type {FlameBox[]} */
    const boxes = [{ node: top, left: 0, width, row: 0 }];
    for (let i = 0; i < boxes.length; i += 1) {
      const box = /** @type {FlameBox} */ (boxes[i]);
      const whole = this.value(box.node);
      if (whole <= 0) continue;
      let left = box.left;
      for (const child of this.tree.children(box.node)) {
        const size = (box.width * this.value(child)) / whole;
        if (size < 1) break; // the largest come first
        boxes.push({ node: child, left, width: size, row: box.row + 1 });
        left += size;
      }
    }
    return boxes;
  }

  /**
   * Return which nodes match a search, and the sum of those that are in no other match.
   * @param {string} search a part of a function or file name, in any case
   */
  find(search) {
    const wanted = search.toLowerCase();
    const matches = new Uint8Array(this.tree.size);
    const covered = new Uint8Array(this.tree.size);
    let count = 0;
    let sum = 0;
    const names = this.flame.names.map((name) => name.toLowerCase().includes(wanted));
    const files = this.flame.files.map((file) => file.toLowerCase().includes(wanted));
    for (let node = 1; node < this.tree.size; node += 1) {
      const isCovered = covered[this.flame.parent[node] ?? 0] ?? 0;
      const isMatch = names[this.flame.name[node] ?? 0] || files[this.flame.file[node] ?? 0];
      covered[node] = isCovered || isMatch ? 1 : 0;
      if (!isMatch) continue;
      matches[node] = 1;
      count += 1;
      if (!isCovered) sum += this.value(node);
    }
    return { matches, count, sum };
  }

  /**
   * Return the functions below a node: what each allocates itself and with its callees. Recursion
   * counts once.
   * @param {number} top
   */
  functions(top) {
    /** @type {Map<string, {name: string, file: string, own: number, total: number}>} */
    const rows = new Map();
    /** @type {Map<string, number>} how often a function is on the path of the walk */
    const open = new Map();
    /** @type {{node: number, key: string}[]} a node without a key is left */
    const stack = [{ node: top, key: "" }];
    while (stack.length) {
      const { node, key } = /** @type {{node: number, key: string}} */ (stack.pop());
      if (key) {
        open.set(key, (open.get(key) ?? 1) - 1);
        continue;
      }
      const name = this.name(node);
      const file = this.file(node);
      const id = `${this.flame.name[node]}:${this.flame.file[node]}`;
      const row = rows.get(id) ?? { name, file, own: 0, total: 0 };
      rows.set(id, row);
      row.own += this.own(node);
      const depth = open.get(id) ?? 0;
      if (!depth) row.total += this.value(node);
      open.set(id, depth + 1);
      stack.push({ node, key: id });
      for (const child of this.tree.children(node)) stack.push({ node: child, key: "" });
    }
    return [...rows.values()].sort((a, b) => b.own - a.own || b.total - a.total);
  }
}

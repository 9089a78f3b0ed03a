// What a treemap shows: names and sizes of objects, places of boxes.

import { formatCount, formatShare, formatValue } from "./format.js";
import { squarify } from "./squarify.js";
import { ColumnTree } from "./tree.js";

/** @import { Rect } from "./canvas.js" */
/** @import { Treemap } from "./document" */
/** @typedef {"container" | "text" | "code" | "instance" | "rest"} Family */
/** @typedef {{node: number, rect: Rect, depth: number, header: number, isFilled: boolean}} TreemapBox */

/** @type {Record<Family, string>} */
export const FAMILY_LABELS = {
  container: "dict, list, set, tuple",
  instance: "instances of classes",
  text: "text, bytes, numbers",
  code: "modules, classes, functions",
  rest: "several objects in one box",
};

const FAMILY_TYPES = {
  container:
    /^(dict|list|set|tuple|frozenset|collections\.\w+|mappingproxy|dict_\w+|weakref\.\w*)$/,
  text: /^(str|bytes|bytearray|memoryview|int|float|complex|bool|NoneType|array\.array)$/,
  code: /^(module|type|function|code|cell|method|property|classmethod|staticmethod|frame|generator|coroutine|.*builtin_function.*|.*_descriptor|getset_descriptor)$/,
};
const HEADER_PX = 18;
const MAX_DEPTH = 6;
const MIN_FILLED_PX = 28; // a smaller box shows its own colour, not what is inside

export class TreemapModel {
  /**
   * @param {Treemap} treemap
   * @param {"retained" | "native"} measure
   */
  constructor(treemap, measure) {
    this.treemap = treemap;
    this.measure = measure;
    this.values = treemap[measure];
    this.tree = new ColumnTree(treemap.parent, this.values);
    this.families = treemap.types.map(familyOf);
  }

  /** @param {number} node */
  value(node) {
    return this.values[node] ?? 0;
  }

  /** @param {number} node */
  type(node) {
    return this.treemap.types[this.treemap.type[node] ?? 0] ?? "";
  }

  /**
   * Return the name of a node: how its parent refers to it, and what it is.
   * @param {number} node
   */
  name(node) {
    const text = this.treemap.names[this.treemap.name[node] ?? 0] ?? "";
    return text.replace(/ {2,}/g, "  ") || this.type(node) || "object";
  }

  /** @param {number} node */
  path(node) {
    const index = this.treemap.path?.[node] ?? -1;
    return index < 0 ? "" : (this.treemap.names[index] ?? "");
  }

  /** @param {number} node */
  isRest(node) {
    return (this.treemap.count[node] ?? 1) > 1 || (node > 0 && !this.type(node));
  }

  /**
   * @param {number} node
   * @returns {Family}
   */
  family(node) {
    return this.isRest(node) ? "rest" : (this.families[this.treemap.type[node] ?? 0] ?? "instance");
  }

  /** @param {number} node */
  share(node) {
    const total = this.value(0);
    return total ? formatShare(this.value(node) / total) : "–";
  }

  /**
   * Return lines that tell about a node.
   * @param {number} node
   */
  describe(node) {
    const { retained, shallow, native, count } = this.treemap;
    const many = count[node] ?? 1;
    const nativeBytes = native[node] ?? 0;
    return [
      this.name(node),
      this.path(node),
      node && this.type(node) && !this.name(node).includes(this.type(node))
        ? `type ${this.type(node)}`
        : "",
      `${formatValue(retained[node] ?? 0, "bytes")} retained, ${this.share(node)} of the picture`,
      node
        ? `${formatValue(shallow[node] ?? 0, "bytes")} by ${many > 1 ? "themselves" : "itself"}`
        : "",
      nativeBytes ? `${formatValue(nativeBytes, "bytes")} of it is native memory` : "",
      many > 1 ? `${formatCount(many)} objects` : "",
    ].filter(Boolean);
  }

  /**
   * Return the boxes below a node: parents before what is inside them.
   * @param {number} top
   * @param {number} width in pixels
   * @param {number} height in pixels
   */
  boxes(top, width, height) {
    /** @type {TreemapBox[]} */
    const boxes = [];
    const rect = { left: 0, top: 0, width, height };
    this.placeChildren({ node: top, rect, depth: 0, header: 0, isFilled: true }, boxes);
    for (let i = 0; i < boxes.length; i += 1) {
      const box = /** @type {TreemapBox} */ (boxes[i]);
      if (box.isFilled && box.depth < MAX_DEPTH) this.placeChildren(box, boxes);
    }
    return boxes;
  }

  /**
   * @param {TreemapBox} box
   * @param {TreemapBox[]} boxes
   */
  placeChildren(box, boxes) {
    const border = box.depth ? 2 : 0;
    const inner = {
      left: box.rect.left + border,
      top: box.rect.top + (box.header || border),
      width: box.rect.width - 2 * border - (box.depth ? 1 : 0),
      height: box.rect.height - (box.header || border) - border - (box.depth ? 1 : 0),
    };
    if (inner.width < 6 || inner.height < 6) return;
    const children = [];
    for (const child of this.tree.children(box.node)) {
      if (this.value(child) <= 0) break;
      children.push(child);
    }
    const rects = squarify(
      children.map((child) => this.value(child)),
      Math.max(this.value(box.node), 1),
      inner,
    );
    children.forEach((node, i) => {
      const rect = /** @type {Rect} */ (rects[i]);
      if (rect.width < 1.5 || rect.height < 1.5) return;
      const isParent = this.tree.children(node).length > 0;
      const isFilled = isParent && rect.width > MIN_FILLED_PX && rect.height > MIN_FILLED_PX;
      const header = isFilled && rect.width > 44 && rect.height > 40 ? HEADER_PX : 0;
      boxes.push({ node, rect, depth: box.depth + 1, header, isFilled });
    });
  }
}

/**
 * @param {string} type
 * @returns {Family}
 */
function familyOf(type) {
  for (const family of /** @type {("container" | "text" | "code")[]} */ ([
    "container",
    "text",
    "code",
  ])) {
    if (FAMILY_TYPES[family].test(type)) return family;
  }
  return "instance";
}

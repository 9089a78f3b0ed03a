// What a treemap shows: names and sizes of objects, places of boxes.

import { formatCount, formatShare, formatValue } from "./format.js";
import { squarify } from "./squarify.js";
import { ColumnTree } from "./tree.js";

/** @import { Rect } from "./canvas.js" */
/** @import { Treemap } from "./document" */
/** @typedef {"container" | "text" | "code" | "instance" | "rest"} Family */
/** @typedef {{node: number, rect: Rect, depth: number, header: number, isFilled: boolean,
 * grouped: number, groupedValue: number}} TreemapBox `grouped`: of how many children of the node it
 * stands for, each too small for a box; 0 for the box of a node */

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
const MIN_HEADER_PX = 84; // a narrower box has no room for a name
const MAX_DEPTH = 6;
const MIN_AREA_PX2 = 36; // children that are smaller share one box
const MIN_TOP_AREA_PX2 = 4; // the same where all in the picture are small
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
   * Return lines that tell about a box.
   * @param {TreemapBox} box
   */
  describeBox({ node, grouped, groupedValue }) {
    if (!grouped) return this.describe(node);
    const size = formatValue(groupedValue, "bytes");
    const rest = `inside ${this.name(node)}`;
    return [`${formatCount(grouped)} small objects`, `${size} together`, node ? rest : ""].filter(Boolean);
  }

  /** Return whether the keys of some objects are not known: the snapshot has their types only. */
  hidesKeys() {
    return this.treemap.names.some((name) => name.includes("[<str>]"));
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
    this.placeChildren({ node: top, rect, depth: 0, header: 0, isFilled: true, grouped: 0, groupedValue: 0 }, boxes);
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
    const total = Math.max(this.value(box.node), 1);
    const values = children.map((child) => this.value(child));
    const scale = (inner.width * inner.height) / total;
    const mayGroup = box.depth > 0 || (values[0] ?? 0) * scale >= MIN_AREA_PX2;
    const least = mayGroup ? MIN_AREA_PX2 : MIN_TOP_AREA_PX2;
    const large = values.findIndex((value) => value * scale < least);
    const shown = large < 0 || large > values.length - 2 ? values.length : large;
    const groupedValue = values.slice(shown).reduce((sum, value) => sum + value, 0);
    const sizes = values.slice(0, shown);
    const place = sizes.findIndex((value) => value < groupedValue);
    const at = place < 0 ? sizes.length : place; // sizes must fall
    if (groupedValue) sizes.splice(at, 0, groupedValue);
    const rects = squarify(sizes, total, inner);
    if (groupedValue) {
      const [rect] = /** @type {[Rect]} */ (rects.splice(at, 1));
      const grouped = values.length - shown;
      const own = { node: box.node, rect, depth: box.depth + 1, header: 0, isFilled: false };
      if (rect.width >= 1.5 && rect.height >= 1.5) boxes.push({ ...own, grouped, groupedValue });
    }
    children.slice(0, shown).forEach((node, i) => {
      const rect = /** @type {Rect} */ (rects[i]);
      if (rect.width < 1.5 || rect.height < 1.5) return;
      const isParent = this.tree.children(node).length > 0;
      const isFilled = isParent && rect.width > MIN_FILLED_PX && rect.height > MIN_FILLED_PX;
      const header = isFilled && rect.width > MIN_HEADER_PX && rect.height > 40 ? HEADER_PX : 0;
      boxes.push({ node, rect, depth: box.depth + 1, header, isFilled, grouped: 0, groupedValue: 0 });
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

// The treemap of the dominator tree: boxes inside the box of the object that keeps them alive.

import { pictureFrame } from "./canvas.js";
import { button, crumbList, disclosure, html, onResize, plainTable, section } from "./dom.js";
import { formatCount, formatValue, middleCut } from "./format.js";
import { recordRoute, registerView } from "./links.js";
import { describeUnderMouse, runKey } from "./picture_input.js";
import { quantity, termText } from "./quantity.js";
import { onThemeChange } from "./theme.js";
import { hideTooltip, showTooltip } from "./tooltip.js";
import { TreemapModel } from "./treemap_model.js";
import { drawTreemap, treemapHeight, treemapLegend } from "./treemap_parts.js";

/** @import { Treemap } from "./document" */
/** @import { TreemapBox } from "./treemap_model.js" */

const TREEMAP_ID = "treemap";
const TREEMAP_TABLE_ROWS = 50;
const TREEMAP_HELP =
  "Each box is an object; the boxes inside it would become free with it. The area is the memory that it retains.";
const TREEMAP_KEYS =
  "Click a box to look inside. Arrow keys left and right move between objects, Down or Enter look inside, Up or Escape go back.";
const TREEMAP_KEYS_HIDDEN =
  "[<str>] stands for a key: snapshots store the text of keys only with values=True.";

class TreemapView {
  /**
   * @param {Treemap} treemap
   * @param {string[]} holders the names of the suspects' holders
   */
  constructor(treemap, holders) {
    this.treemap = treemap;
    this.model = new TreemapModel(treemap, "retained");
    this.suspects = this.suspectNodes(holders);
    this.top = 0;
    this.cursor = -1;
    this.hovered = -1;
    /** @type {TreemapBox[]} */
    this.boxes = [];
    const { frame, canvas } = pictureFrame("Treemap of the objects", "treemap-keys");
    this.frame = frame;
    this.canvas = canvas;
    this.crumbs = html("nav", { class: "crumbs", "aria-label": "Treemap: inside of" });
    this.facts = html("p", { class: "facts-line" });
    this.announcement = html("p", { class: "unseen", "aria-live": "polite" });
    this.select = html(
      "select",
      {},
      html("option", { value: "retained" }, "All retained memory"),
      html("option", { value: "native" }, "Native memory only"),
    );
    this.table = disclosure("Objects in here as a table", () => [this.childTable()]);
    this.element = this.makeSection();
    this.listen();
  }

  makeSection() {
    const hasNative = (this.treemap.native[0] ?? 0) > 0;
    const measure = html("label", {}, html("span", {}, "Area"), this.select);
    return section(
      TREEMAP_ID,
      "Who keeps what alive",
      TREEMAP_HELP,
      hasNative ? html("div", { class: "toolbar" }, measure) : null,
      this.crumbs,
      this.facts,
      this.frame,
      treemapLegend(this.suspects.size > 0),
      html("p", { class: "keys", id: "treemap-keys" }, TREEMAP_KEYS),
      this.announcement,
      this.model.hidesKeys() ? html("p", { class: "note" }, TREEMAP_KEYS_HIDDEN) : null,
      this.treemap.omitted ? html("p", { class: "note" }, this.treemap.omitted.text) : null,
      this.table.element,
    );
  }

  /** @param {string[]} holders */
  suspectNodes(holders) {
    const wanted = new Set(holders);
    const found = new Set();
    for (let node = 1; node < this.model.tree.size; node += 1) {
      if (this.model.isRest(node)) continue;
      const name = this.model.name(node).split("  ")[0] ?? "";
      if (wanted.has(this.model.path(node)) || wanted.has(name)) found.add(node);
    }
    return found;
  }

  listen() {
    const { canvas, frame, select } = this;
    select.addEventListener("change", () => {
      this.setMeasure(select.value);
      this.record();
    });
    canvas.addEventListener("pointermove", (event) => this.hover(event));
    canvas.addEventListener("pointerleave", () => {
      this.hovered = -1;
      hideTooltip();
      this.draw();
    });
    canvas.addEventListener("click", (event) => {
      const box = this.boxAt(event);
      if (box) this.open(this.openable(box.node));
    });
    frame.addEventListener("keydown", (event) => this.pressKey(event));
    frame.addEventListener("focus", () => {
      if (this.cursor < 0) this.cursor = this.model.tree.children(this.top)[0] ?? -1;
      this.draw();
    });
    frame.addEventListener("blur", () => {
      hideTooltip();
      this.draw();
    });
    onResize(frame, () => this.layout());
    onThemeChange(() => this.draw());
    registerView(TREEMAP_ID, (params) => this.follow(params));
  }

  /**
   * Return the node to open for a click: the nearest one with something inside.
   * @param {number} node
   */
  openable(node) {
    const { tree } = this.model;
    if (tree.children(node).length) return node;
    const parent = tree.parent[node] ?? 0;
    return tree.isWithin(parent, this.top) ? parent : this.top;
  }

  /** @param {URLSearchParams} params */
  follow(params) {
    this.setMeasure(params.get("area") ?? "retained");
    this.top = this.model.tree.nodeOf(params.get("node"));
    this.cursor = -1;
    this.layout();
  }

  record() {
    const area = this.model.measure === "retained" ? null : this.model.measure;
    recordRoute(TREEMAP_ID, { area, node: this.top || null });
  }

  /** @param {string} key */
  setMeasure(key) {
    this.model = new TreemapModel(this.treemap, key === "native" ? "native" : "retained");
    this.select.value = this.model.measure;
    this.layout();
  }

  /** @param {number} node */
  open(node) {
    hideTooltip();
    if (node !== this.top) {
      this.cursor = -1;
      this.top = node;
      if (document.activeElement === this.frame)
        this.cursor = this.model.tree.children(node)[0] ?? -1;
      this.record();
      this.layout();
    }
    this.announcement.textContent = `Inside ${this.model.describe(node).join(", ")}`;
  }

  layout() {
    const width = this.frame.clientWidth;
    if (!width) return;
    this.boxes = this.model.boxes(this.top, width, treemapHeight(width));
    const entries = this.model.tree.path(this.top).map((node) => {
      return { node, text: node ? middleCut(this.model.name(node), 48) : "All objects" };
    });
    this.crumbs.replaceChildren(crumbList(entries, (node) => this.open(node)));
    this.crumbs.hidden = this.top === 0;
    this.showFacts();
    this.table.refresh();
    this.draw();
  }

  showFacts() {
    const { top, treemap } = this;
    const inside = this.model.tree.children(top).length;
    const path = this.model.path(top);
    this.facts.replaceChildren(
      quantity(
        treemap.retained[top] ?? 0,
        "bytes",
        termText("retained", "Bytes that would become free with it."),
      ),
      ` retained, ${this.model.share(top)} of the picture, ${formatCount(inside)} ${inside === 1 ? "box" : "boxes"} inside`,
      ...(path ? [" · ", html("code", {}, path)] : []),
    );
  }

  draw() {
    const width = this.frame.clientWidth;
    if (!width) return;
    const cursor = document.activeElement === this.frame ? this.cursor : -1;
    const marked = { suspects: this.suspects, hovered: this.hovered, cursor };
    drawTreemap(this.canvas, width, treemapHeight(width), this.model, this.boxes, marked);
  }

  /** @param {MouseEvent} event */
  boxAt(event) {
    const place = this.canvas.getBoundingClientRect();
    const x = event.clientX - place.left;
    const y = event.clientY - place.top;
    return this.boxes.findLast(
      ({ rect }) =>
        rect.left <= x && x < rect.left + rect.width && rect.top <= y && y < rect.top + rect.height,
    );
  }

  /** @param {MouseEvent} event */
  hover(event) {
    const box = this.boxAt(event);
    const node = box ? box.node : -1;
    describeUnderMouse(event, this.canvas, box ? this.model.describeBox(box) : null);
    if (node === this.hovered) return;
    this.hovered = node;
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  pressKey(event) {
    const { tree } = this.model;
    const inside = () => {
      if (this.cursor >= 0 && tree.children(this.cursor).length) this.open(this.cursor);
    };
    const outside = () => this.open(Math.max(tree.parent[this.top] ?? 0, 0));
    runKey(event, {
      ArrowRight: () => this.move(tree.sibling(this.cursor, 1)),
      ArrowLeft: () => this.move(tree.sibling(this.cursor, -1)),
      ArrowDown: inside,
      Enter: inside,
      ArrowUp: outside,
      Escape: outside,
      Home: () => this.open(0),
    });
  }

  /** @param {number} node */
  move(node) {
    if (node < 0) return;
    this.cursor = node;
    this.draw();
    this.announcement.textContent = this.model.describe(node).join(", ");
    const box = this.boxes.find((one) => one.node === node);
    if (!box) return;
    const place = this.canvas.getBoundingClientRect();
    const top = place.top + box.rect.top;
    const text = this.model.describe(node).join("\n");
    showTooltip(text, place.left + box.rect.left, top, top + Math.min(box.rect.height, 40));
  }

  childTable() {
    const { tree } = this.model;
    const children = [...tree.children(this.top)];
    const rows = children.slice(0, TREEMAP_TABLE_ROWS).map((node) => {
      const name = this.model.name(node);
      const hasMore = tree.children(node).length > 0;
      return [
        hasMore ? button(name, () => this.open(node), { class: "link" }) : name,
        formatValue(this.treemap.retained[node] ?? 0, "bytes"),
        formatValue(this.treemap.shallow[node] ?? 0, "bytes"),
        formatValue(this.treemap.native[node] ?? 0, "bytes"),
        formatCount(this.treemap.count[node] ?? 1),
      ];
    });
    const more = children.length - rows.length;
    return html(
      "div",
      {},
      plainTable("Objects in here", ["Object", "Retained", "Itself", "Native", "Objects"], rows),
      more > 0 ? html("p", { class: "note" }, `${formatCount(more)} smaller boxes.`) : null,
    );
  }
}

/**
 * Return the section of the treemap.
 * @param {Treemap} treemap
 * @param {string[]} holders the names of the suspects' holders
 */
export function treemapSection(treemap, holders) {
  return new TreemapView(treemap, holders).element;
}

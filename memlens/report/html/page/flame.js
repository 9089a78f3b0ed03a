// The flame graph: callers above, callees below; the width of a box is what the path allocated.

import { disclosure, html, onResize, plainTable, section, crumbList } from "./dom.js";
import { FlameModel } from "./flame_model.js";
import { FLAME_ROW_PX, drawFlame, flameLegend, flameParts } from "./flame_parts.js";
import { formatCount, formatShare, formatValue, baseName } from "./format.js";
import { recordRoute, registerView } from "./links.js";
import { describeUnderMouse, runKey } from "./picture_input.js";
import { valueText } from "./quantity.js";
import { onThemeChange } from "./theme.js";
import { explain, hideTooltip, showTooltip } from "./tooltip.js";

/** @import { Flame } from "./document" */
/** @import { FlameBox } from "./flame_model.js" */

const FLAME_TABLE_ROWS = 100;
const FLAME_HELP =
  "Each box is a call path: callers above, callees below. The wider a box, the more it and its callees allocated.";
const FLAME_KEYS =
  "Click a box to zoom in. Arrow keys move, Enter zooms in, Escape zooms out, Home shows all.";

class FlameView {
  /**
   * @param {Flame} flame
   * @param {string} id the hash of the view
   */
  constructor(flame, id) {
    this.flame = flame;
    this.id = id;
    this.model = new FlameModel(flame, "");
    this.parts = flameParts(flame, id);
    this.table = disclosure("Functions as a table", () => [this.functionTable()]);
    this.top = 0;
    this.cursor = 0;
    this.hovered = -1;
    this.search = "";
    /** @type {ReturnType<FlameModel["find"]> | null} */
    this.found = null;
    /** @type {FlameBox[]} */
    this.boxes = [];
    this.element = this.makeSection();
    this.listenToControls();
    this.listenToPicture();
    registerView(id, (params) => this.follow(params));
  }

  makeSection() {
    const { parts, flame } = this;
    const hasChoice = flame.measures.length > 1;
    const measure = html("label", {}, html("span", {}, "Measure"), parts.select);
    const search = html("label", { class: "grow" }, html("span", {}, "Search"), parts.input);
    return section(
      this.id,
      flame.label,
      FLAME_HELP,
      html("div", { class: "toolbar" }, hasChoice ? measure : null, search),
      parts.status,
      parts.crumbs,
      parts.frame,
      flameLegend(flame, this.model.origins),
      html("p", { class: "keys", id: `${this.id}-keys` }, FLAME_KEYS),
      parts.announcement,
      flame.omitted?.nodes ? html("p", { class: "note" }, flame.omitted.text) : null,
      this.table.element,
    );
  }

  listenToControls() {
    const { select, input } = this.parts;
    select.addEventListener("change", () => {
      this.setMeasure(select.value);
      this.record(true);
    });
    input.addEventListener("input", () => {
      this.setSearch(input.value);
      this.record(false);
    });
  }

  listenToPicture() {
    const { frame, canvas } = this.parts;
    canvas.addEventListener("pointermove", (event) => this.hover(event));
    canvas.addEventListener("pointerleave", () => {
      this.hovered = -1;
      hideTooltip();
      this.draw();
    });
    canvas.addEventListener("click", (event) => {
      const box = this.boxAt(event);
      if (box) this.zoom(box.node);
    });
    frame.addEventListener("keydown", (event) => this.pressKey(event));
    frame.addEventListener("focus", () => this.draw());
    frame.addEventListener("blur", () => {
      hideTooltip();
      this.draw();
    });
    onResize(frame, () => this.layout());
    onThemeChange(() => this.draw());
  }

  /** @param {URLSearchParams} params */
  follow(params) {
    this.parts.input.value = params.get("search") ?? "";
    this.setMeasure(params.get("measure") ?? "");
    this.setSearch(this.parts.input.value);
    this.top = this.model.tree.nodeOf(params.get("zoom"));
    this.cursor = this.top;
    this.layout();
  }

  /** @param {boolean} isStep */
  record(isStep) {
    const measure = this.model.measure?.key ?? "";
    const isFirst = measure === this.flame.measures[0]?.key;
    const values = {
      measure: isFirst ? null : measure,
      search: this.search,
      zoom: this.top || null,
    };
    recordRoute(this.id, values, isStep);
  }

  /** @param {string} key of the measure; the first one if there is no such measure */
  setMeasure(key) {
    this.model = new FlameModel(this.flame, key);
    this.parts.select.value = this.model.measure?.key ?? "";
    this.setSearch(this.search);
    this.layout();
  }

  /** @param {string} search */
  setSearch(search) {
    this.search = search.trim();
    this.found = this.search ? this.model.find(this.search) : null;
    this.parts.status.textContent = this.statusText();
    this.draw();
  }

  statusText() {
    if (!this.found) return "";
    const { count, sum } = this.found;
    if (!count) return `No function or file contains “${this.search}”.`;
    const share = this.model.total ? formatShare(sum / this.model.total) : "–";
    const size = formatValue(sum, this.model.unit);
    return `${formatCount(count)} ${count === 1 ? "box matches" : "boxes match"}: ${size}, ${share} of the total`;
  }

  /** @param {number} node */
  zoom(node) {
    hideTooltip();
    if (node !== this.top) {
      this.top = node;
      this.cursor = node;
      this.record(true);
      this.layout();
    }
    this.announce(node);
  }

  /** @param {number} node */
  announce(node) {
    this.parts.announcement.textContent = this.model.describe(node).join(", ");
  }

  layout() {
    const width = this.parts.frame.clientWidth;
    if (!width) return;
    this.boxes = this.model.boxes(this.top, width);
    const path = this.model.tree.path(this.top);
    const entries = path.map((node) => ({ node, text: node ? this.model.label(node) : "All" }));
    this.parts.crumbs.replaceChildren(crumbList(entries, (node) => this.zoom(node)));
    this.parts.crumbs.hidden = this.top === 0;
    this.table.refresh();
    this.draw();
  }

  draw() {
    if (!this.boxes.length) return;
    const { canvas, frame } = this.parts;
    const cursor = document.activeElement === frame ? this.cursor : -1;
    const marked = { matches: this.found?.matches ?? null, hovered: this.hovered, cursor };
    drawFlame(canvas, frame.clientWidth, this.model, this.boxes, marked);
  }

  /** @param {MouseEvent} event */
  boxAt(event) {
    const place = this.parts.canvas.getBoundingClientRect();
    const x = event.clientX - place.left;
    const row = Math.floor((event.clientY - place.top) / FLAME_ROW_PX);
    return this.boxes.find((box) => box.row === row && box.left <= x && x < box.left + box.width);
  }

  /** @param {MouseEvent} event */
  hover(event) {
    const box = this.boxAt(event);
    const node = box ? box.node : -1;
    describeUnderMouse(event, this.parts.canvas, box ? this.model.describe(node) : null);
    if (node === this.hovered) return;
    this.hovered = node;
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  pressKey(event) {
    const { tree } = this.model;
    const { cursor, top } = this;
    runKey(event, {
      ArrowDown: () => this.move(tree.children(cursor)[0] ?? cursor),
      ArrowUp: () => this.move(cursor === top ? top : (tree.parent[cursor] ?? 0)),
      ArrowLeft: () => this.move(cursor === top ? top : tree.sibling(cursor, -1)),
      ArrowRight: () => this.move(cursor === top ? top : tree.sibling(cursor, 1)),
      Enter: () => this.zoom(cursor),
      Escape: () => this.zoom(Math.max(tree.parent[top] ?? 0, 0)),
      Home: () => this.zoom(0),
    });
  }

  /** @param {number} node */
  move(node) {
    this.cursor = node;
    this.draw();
    this.announce(node);
    const box = this.boxes.find((one) => one.node === node);
    if (!box) return;
    const place = this.parts.canvas.getBoundingClientRect();
    const top = place.top + box.row * FLAME_ROW_PX;
    const text = this.model.describe(node).join("\n");
    showTooltip(text, place.left + box.left, top, top + FLAME_ROW_PX);
  }

  functionTable() {
    const { unit } = this.model;
    const all = this.model.functions(this.top);
    /** @type {(value: number, help: string) => HTMLElement} */
    const number = (value, help) =>
      explain(html("span", {}, formatValue(value, unit)), valueText(value, unit, help), false);
    const rows = all
      .slice(0, FLAME_TABLE_ROWS)
      .map((row) => [
        explain(html("span", {}, row.name), `${row.name}\n${row.file}`, false),
        number(row.own, "Allocated in the function itself."),
        number(row.total, "With everything that the function calls. Recursion counts once."),
        explain(html("span", {}, baseName(row.file)), row.file, false),
      ]);
    const headers = ["Function", "Itself", "With callees", "File"];
    const more = all.length - rows.length;
    return html(
      "div",
      {},
      plainTable(`Functions of ${this.flame.label}`, headers, rows),
      more > 0 ? html("p", { class: "note" }, `${formatCount(more)} more functions.`) : null,
    );
  }
}

/**
 * Return the section of a flame graph.
 * @param {Flame} flame
 * @param {string} id
 */
export function flameSection(flame, id) {
  return new FlameView(flame, id).element;
}

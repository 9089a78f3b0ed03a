// The flame graph: callers above, callees below; the width of a box is what the path allocated.

import { drawLabel, drawOutline, mixColours, pictureFrame, prepareCanvas, textFraction } from "./canvas.js";
import { button, disclosure, html, onResize, plainTable, section } from "./dom.js";
import { FlameModel, ORIGIN_LABELS } from "./flame_model.js";
import { formatCount, formatShare, formatValue, placeText } from "./format.js";
import { recordRoute, registerView } from "./links.js";
import { valueText } from "./quantity.js";
import { onThemeChange, themeColours } from "./theme.js";
import { explain, hideTooltip, showTooltip } from "./tooltip.js";

/** @typedef {import("./document").Flame} Flame */
/** @typedef {import("./flame_model.js").FlameBox} FlameBox */
/** @typedef {import("./flame_model.js").Origin} Origin */

const FLAME_ROW_PX = 20;
const FLAME_TABLE_ROWS = 100;
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
const FLAME_KEYS =
  "Arrow keys move between callers, callees and siblings. Enter zooms in, Escape zooms out, Home shows all.";

class FlameView {
  /**
   * @param {Flame} flame
   * @param {string} id the hash of the view
   */
  constructor(flame, id) {
    this.flame = flame;
    this.id = id;
    this.model = new FlameModel(flame, flame.measures[0]?.key ?? "");
    this.top = 0;
    this.cursor = 0;
    this.search = "";
    /** @type {ReturnType<FlameModel["find"]> | null} */
    this.found = null;
    /** @type {FlameBox[]} */
    this.boxes = [];
    this.hovered = -1;
    this.build();
    this.listen();
  }

  build() {
    const picture = pictureFrame(`${this.flame.label}, as a flame graph`, `${this.id}-keys`);
    this.frame = picture.frame;
    this.canvas = picture.canvas;
    this.crumbs = html("nav", { class: "crumbs", "aria-label": "Zoomed to" });
    this.status = html("p", { class: "status", role: "status" });
    this.announcement = html("p", { class: "unseen", "aria-live": "polite" });
    this.input = html("input", {
      type: "search",
      placeholder: "Function or file",
      "aria-label": `Search ${this.flame.label}`,
      autocomplete: "off",
      spellcheck: "false",
    });
    this.select = html("select", { "aria-label": "Measure" });
    for (const measure of this.flame.measures) {
      this.select.append(html("option", { value: measure.key }, measure.label));
    }
    this.table = disclosure("As a table of functions", () => [this.functionTable()]);
    const omitted = this.flame.omitted;
    this.element = section(
      this.id,
      this.flame.label,
      "Each box is a call path: callers above, callees below. The wider the box, the more it holds.",
      html(
        "div",
        { class: "toolbar" },
        html("label", {}, html("span", {}, "Measure"), this.select),
        html("label", { class: "grow" }, html("span", {}, "Search"), this.input),
        button("Show all", () => this.zoom(0), { class: "reset" }),
      ),
      this.crumbs,
      this.frame,
      this.legend(),
      this.status,
      html("p", { class: "keys", id: `${this.id}-keys` }, FLAME_KEYS),
      this.announcement,
      omitted && omitted.nodes ? html("p", { class: "note" }, `${omitted.text}.`) : null,
      this.table.element,
    );
  }

  legend() {
    const present = new Set(this.model.origins.filter((_, i) => this.flame.file.includes(i)));
    const entries = /** @type {Origin[]} */ (["program", "library", "python"])
      .filter((origin) => present.has(origin))
      .map((origin) => html("li", {}, html("i", { class: `swatch ${origin}` }), ORIGIN_LABELS[origin]));
    return html("ul", { class: "legend", "aria-label": "Colours" }, ...entries);
  }

  listen() {
    const { canvas, frame, input, select } = this;
    if (!canvas || !frame || !input || !select) return;
    select.addEventListener("change", () => {
      this.setMeasure(select.value);
      this.record(true);
    });
    input.addEventListener("input", () => {
      this.setSearch(input.value);
      this.record(false);
    });
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
    frame.addEventListener("keydown", (event) => this.key(event));
    frame.addEventListener("blur", () => {
      hideTooltip();
      this.draw();
    });
    frame.addEventListener("focus", () => this.draw());
    onResize(frame, () => this.layout());
    onThemeChange(() => this.layout());
    registerView(this.id, (params) => this.follow(params));
  }

  /** @param {URLSearchParams} params */
  follow(params) {
    this.setMeasure(params.get("measure") ?? this.flame.measures[0]?.key ?? "");
    this.setSearch(params.get("search") ?? "");
    this.top = this.model.tree.nodeOf(params.get("zoom"));
    this.cursor = this.top;
    if (this.input) this.input.value = this.search;
    this.layout();
  }

  /** @param {boolean} isStep */
  record(isStep) {
    const measure = this.model.measure?.key ?? "";
    const isFirst = measure === this.flame.measures[0]?.key;
    const values = { measure: isFirst ? null : measure, search: this.search, zoom: this.top || null };
    recordRoute(this.id, values, isStep);
  }

  /** @param {string} key */
  setMeasure(key) {
    if (key !== this.model.measure?.key) this.model = new FlameModel(this.flame, key);
    if (this.select) this.select.value = this.model.measure?.key ?? "";
    this.setSearch(this.search);
    this.layout();
  }

  /** @param {string} search */
  setSearch(search) {
    this.search = search.trim();
    this.found = this.search ? this.model.find(this.search) : null;
    this.showStatus();
    this.draw();
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
    if (this.announcement) this.announcement.textContent = this.model.describe(node).join(", ");
  }

  showStatus() {
    if (!this.status) return;
    if (!this.found) {
      this.status.textContent = "";
      return;
    }
    const { count, sum } = this.found;
    const share = this.model.total ? formatShare(sum / this.model.total) : "–";
    this.status.textContent = count
      ? `${formatCount(count)} boxes match: ${formatValue(sum, this.model.unit)}, ${share} of the total.`
      : `No function or file contains “${this.search}”.`;
  }

  showCrumbs() {
    if (!this.crumbs) return;
    const path = this.model.tree.path(this.top);
    const items = path.map((node) => {
      const text = node ? this.model.name(node) : "All";
      if (node === this.top) return html("li", {}, html("span", { "aria-current": "true" }, text));
      return html("li", {}, button(text, () => this.zoom(node)));
    });
    this.crumbs.replaceChildren(html("ol", {}, ...items));
    this.crumbs.hidden = this.top === 0;
  }

  layout() {
    if (!this.frame) return;
    const width = this.frame.clientWidth;
    if (!width) return;
    this.boxes = this.model.boxes(this.top, width);
    this.showCrumbs();
    this.table?.refresh();
    this.draw();
  }

  draw() {
    if (!this.canvas || !this.frame || !this.boxes.length) return;
    const rows = 1 + this.boxes.reduce((most, box) => Math.max(most, box.row), 0);
    const context = prepareCanvas(this.canvas, this.frame.clientWidth, rows * FLAME_ROW_PX + 1);
    const colours = themeColours(FLAME_COLOURS);
    for (const box of this.boxes) {
      const { node } = box;
      const isFound = this.found?.matches[node];
      const plain = colours[this.model.origin(node)];
      const shade = textFraction(this.model.name(node) + this.model.file(node)) * 0.28;
      let fill = isFound ? colours.found : mixColours(plain, colours.surface, shade);
      if (this.found && !isFound) fill = mixColours(fill, colours.surface, 0.55);
      if (node === this.hovered) fill = mixColours(fill, colours.ink, 0.18);
      const place = rectOf(box);
      context.fillStyle = fill;
      context.fillRect(place.left, place.top, Math.max(place.width - 1, 0.75), place.height - 1);
      this.label(context, box, isFound ? colours.foundInk : colours.ink);
    }
    const cursor = this.boxes.find((box) => box.node === this.cursor);
    if (cursor && document.activeElement === this.frame) {
      drawOutline(context, rectOf(cursor), colours.focus, 2);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {FlameBox} box
   * @param {string} colour
   */
  label(context, box, colour) {
    const used = drawLabel(context, this.model.name(box.node), rectOf(box), colour);
    if (!used || box.width < used + 90) return;
    const text = formatValue(this.model.value(box.node), this.model.unit);
    context.globalAlpha = 0.75;
    context.textAlign = "right";
    context.fillText(text, box.left + box.width - 6, rectOf(box).top + FLAME_ROW_PX / 2 + 0.5);
    context.textAlign = "left";
    context.globalAlpha = 1;
  }

  /** @param {MouseEvent} event */
  boxAt(event) {
    if (!this.canvas) return undefined;
    const place = this.canvas.getBoundingClientRect();
    const x = event.clientX - place.left;
    const row = Math.floor((event.clientY - place.top) / FLAME_ROW_PX);
    return this.boxes.find((box) => box.row === row && box.left <= x && x < box.left + box.width);
  }

  /** @param {MouseEvent} event */
  hover(event) {
    const box = this.boxAt(event);
    const node = box ? box.node : -1;
    if (this.canvas) this.canvas.style.cursor = box ? "pointer" : "default";
    if (box) {
      const lines = this.model.describe(node).join("\n");
      showTooltip(lines, event.clientX + 12, event.clientY - 12, event.clientY + 8);
    } else hideTooltip();
    if (node === this.hovered) return;
    this.hovered = node;
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { tree } = this.model;
    const steps = /** @type {Record<string, () => void>} */ ({
      ArrowDown: () => this.move(tree.children(this.cursor)[0] ?? this.cursor),
      ArrowUp: () => this.move(this.cursor === this.top ? this.top : (tree.parent[this.cursor] ?? 0)),
      ArrowLeft: () => this.move(this.cursor === this.top ? this.top : tree.sibling(this.cursor, -1)),
      ArrowRight: () => this.move(this.cursor === this.top ? this.top : tree.sibling(this.cursor, 1)),
      Enter: () => this.zoom(this.cursor),
      " ": () => this.zoom(this.cursor),
      Escape: () => this.zoom(Math.max(tree.parent[this.top] ?? 0, 0)),
      Home: () => this.zoom(0),
    });
    const step = event.ctrlKey || event.metaKey || event.altKey ? undefined : steps[event.key];
    if (!step) return;
    event.preventDefault();
    step();
  }

  /** @param {number} node */
  move(node) {
    this.cursor = node;
    this.draw();
    this.announce(node);
    const box = this.boxes.find((one) => one.node === node);
    if (!box || !this.canvas) return;
    const place = this.canvas.getBoundingClientRect();
    const top = place.top + box.row * FLAME_ROW_PX;
    const lines = this.model.describe(node).join("\n");
    showTooltip(lines, place.left + box.left, top, top + FLAME_ROW_PX);
  }

  functionTable() {
    const { unit } = this.model;
    const all = this.model.functions(this.top);
    const rows = all.slice(0, FLAME_TABLE_ROWS).map((row) => [
      explain(html("span", {}, row.name), row.file || row.name),
      explain(html("span", {}, formatValue(row.own, unit)), valueText(row.own, unit, "In the function itself."), false),
      explain(html("span", {}, formatValue(row.total, unit)), valueText(row.total, unit, "With callees; recursion counts once."), false),
      placeText(row.file, 0),
    ]);
    const more = all.length - rows.length;
    const table = plainTable(`Functions of ${this.flame.label}`, ["Function", "Itself", "With callees", "File"], rows);
    return html("div", {}, table, more > 0 ? html("p", { class: "note" }, `${formatCount(more)} more functions are left out.`) : null);
  }
}

/**
 * @param {FlameBox} box
 * @returns {import("./canvas.js").Rect}
 */
function rectOf(box) {
  return { left: box.left, top: box.row * FLAME_ROW_PX, width: box.width, height: FLAME_ROW_PX };
}

/**
 * Return the section of a flame graph.
 * @param {Flame} flame
 * @param {string} id
 */
export function flameSection(flame, id) {
  return /** @type {HTMLElement} */ (new FlameView(flame, id).element);
}

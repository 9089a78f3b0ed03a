// Tables that sort and filter. Arrow keys move between cells; every number explains itself.

import { button, html, section } from "./dom.js";
import { formatCount, formatValue } from "./format.js";
import { moveInGrid } from "./grid_keys.js";
import { recordRoute, registerView } from "./links.js";
import { valueText } from "./quantity.js";
import { TableModel } from "./table_model.js";
import { explain } from "./tooltip.js";

/** @import { Cell, Column, Table } from "./document" */

const FIRST_ROWS = 15;
const MORE_ROWS = 200;
const PHONE_COLUMNS = 3; // that a small screen shows without scrolling

class TableView {
  /** @param {Table} table */
  constructor(table) {
    this.id = `table-${table.key}`;
    this.table = table;
    this.model = new TableModel(table);
    this.fullNames = new Map(table.rows.map((row, i) => [row, table.full?.[i] ?? ""]));
    this.limit = FIRST_ROWS;
    this.maxima = this.model.maxima();
    this.barColumn = table.columns.findIndex((column) => column.unit.includes("bytes"));
    this.body = html("tbody", {});
    this.headers = table.columns.map((column) => this.header(column));
    this.input = html("input", {
      type: "search",
      placeholder: "Words in a row",
      "aria-label": `Filter ${table.label}`,
      autocomplete: "off",
      spellcheck: "false",
    });
    this.status = html("span", { class: "status", role: "status" });
    this.more = button("", () => {
      this.limit += MORE_ROWS;
      this.show();
    });
    this.element = this.makeSection();
    this.listen();
    this.show();
  }

  makeSection() {
    const grid = html(
      "table",
      { class: "sortable", role: "grid", "aria-label": this.table.label },
      html("thead", {}, html("tr", {}, ...this.headers)),
      this.body,
    );
    const tools = html(
      "div",
      { class: "toolbar" },
      html("label", { class: "grow" }, html("span", {}, "Filter"), this.input),
      this.status,
    );
    const omitted = this.table.omitted;
    const hidden = this.table.columns.slice(PHONE_COLUMNS).map((column) => column.label);
    return section(
      this.id,
      this.table.label,
      this.table.help,
      this.table.rows.length > 5 ? tools : null,
      hidden.length > 0
        ? html("p", { class: "scroll-hint" }, `Scroll sideways for: ${hidden.join(", ")} →`)
        : null,
      html("div", { class: "scroll" }, grid),
      html("div", { class: "more-rows" }, this.more),
      omitted ? html("p", { class: "note" }, omitted.text) : null,
    );
  }

  /** @param {Column} column */
  header(column) {
    const sort = html("button", { type: "button", tabindex: -1 }, column.label);
    sort.addEventListener("click", () => {
      this.model.sortBy(column.key);
      this.record(true);
      this.show();
    });
    explain(sort, `${column.label}\n${column.help}`);
    const name = TableModel.isNumber(column) ? "number" : "text";
    return html("th", { scope: "col", class: name, "data-key": column.key }, sort);
  }

  listen() {
    this.input.addEventListener("input", () => {
      this.model.filter = this.input.value;
      this.limit = FIRST_ROWS;
      this.record(false);
      this.show();
    });
    this.element.addEventListener("keydown", moveInGrid);
    registerView(this.id, (params) => {
      this.model.filter = params.get("filter") ?? "";
      this.model.sort = params.get("sort") ?? "";
      const column = this.table.columns.find((one) => one.key === this.model.sort);
      const order = params.get("order");
      this.model.isRising = order ? order === "rising" : !!column && !TableModel.isNumber(column);
      this.input.value = this.model.filter;
      this.show();
    });
  }

  /** @param {boolean} isStep */
  record(isStep) {
    const { sort, filter, isRising } = this.model;
    const column = this.table.columns.find((one) => one.key === sort);
    const usual = !!column && !TableModel.isNumber(column);
    const order = sort && isRising !== usual ? (isRising ? "rising" : "falling") : null;
    recordRoute(this.id, { sort, order, filter }, isStep);
  }

  show() {
    const rows = this.model.rows();
    this.body.replaceChildren(...rows.slice(0, this.limit).map((row) => this.row(row)));
    this.table.columns.forEach((column, i) => {
      const isSorted = column.key === this.model.sort;
      const order = this.model.isRising ? "ascending" : "descending";
      this.headers[i]?.setAttribute("aria-sort", isSorted ? order : "none");
    });
    const all = this.table.rows.length;
    this.status.textContent =
      rows.length === all
        ? `${formatCount(all)} rows`
        : `${formatCount(rows.length)} of ${formatCount(all)} rows`;
    const left = rows.length - this.limit;
    this.more.hidden = left <= 0;
    this.more.textContent = `Show ${formatCount(Math.min(left, MORE_ROWS))} more`;
    const stop = this.headers[0]?.querySelector("button");
    if (stop && !this.element.querySelector('thead [tabindex="0"], tbody [tabindex="0"]')) {
      stop.setAttribute("tabindex", "0");
    }
  }

  /** @param {Cell[]} row */
  row(row) {
    const name = row.find((cell) => typeof cell === "string");
    const cells = this.table.columns.map((column, i) => {
      const value = row[i] ?? null;
      const isNumber = TableModel.isNumber(column);
      const cell = html(
        "td",
        { class: isNumber ? "number" : "text", tabindex: -1 },
        formatValue(value, column.unit),
      );
      if (isNumber) {
        const about = typeof name === "string" ? `${column.label} of ${name}` : column.label;
        explain(cell, `${valueText(value, column.unit, "")}\n${about}\n${column.help}`, false);
        if (i === this.barColumn) this.bar(cell, value, i);
      } else {
        const full = column.key === this.table.columns[0]?.key ? this.fullNames.get(row) : "";
        explain(cell, full || String(value ?? ""), false);
      }
      return cell;
    });
    return html("tr", {}, ...cells);
  }

  /**
   * @param {HTMLElement} cell
   * @param {Cell} value
   * @param {number} column
   */
  bar(cell, value, column) {
    const most = this.maxima[column] ?? 0;
    if (typeof value !== "number" || !most) return;
    cell.classList.add("bar");
    cell.style.setProperty("--share", `${((100 * Math.abs(value)) / most).toFixed(1)}%`);
  }
}

/**
 * Return a table with the name and the sizes as its first columns: what a small screen shows.
 * @param {Table} table
 */
function sizesFirst(table) {
  const texts = table.columns.filter((column) => !TableModel.isNumber(column));
  const path = texts.find((column) => ["name", "path", "example"].includes(column.key));
  const name = table.columns.indexOf(/** @type {Column} */ (path ?? texts[0]));
  /** @param {number} index */
  const rank = (index) => {
    const { key, unit } = /** @type {Column} */ (table.columns[index]);
    if (index === name) return 0;
    if (unit === "text") return 4;
    return key === "retained" ? 1 : unit.endsWith("bytes") ? 2 : 3;
  };
  const order = table.columns.map((_, i) => i).sort((a, b) => rank(a) - rank(b));
  const columns = order.map((i) => /** @type {Column} */ (table.columns[i]));
  return { ...table, columns, rows: table.rows.map((row) => order.map((i) => row[i] ?? null)) };
}

/**
 * Return the section of a table.
 * @param {Table} table
 */
export function tableSection(table) {
  const isPhone = window.matchMedia("(max-width: 40rem)").matches;
  return new TableView(isPhone ? sizesFirst(table) : table).element;
}

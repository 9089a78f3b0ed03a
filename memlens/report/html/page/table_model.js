// Sorting and filtering of a table.

/** @import { Cell, Column, Table } from "./document" */

export class TableModel {
  /** @param {Table} table */
  constructor(table) {
    this.table = table;
    this.texts = table.rows.map((row) =>
      row
        .filter((cell) => typeof cell === "string")
        .join("\n")
        .toLowerCase(),
    );
    this.sort = "";
    this.isRising = false;
    this.filter = "";
  }

  /**
   * Return whether a column is of numbers.
   * @param {Column} column
   */
  static isNumber(column) {
    return column.unit !== "text";
  }

  /**
   * Sort by a column; by the same column a second time, the other way round.
   * @param {string} key
   */
  sortBy(key) {
    const column = this.table.columns.find((one) => one.key === key);
    if (!column) return;
    this.isRising = this.sort === key ? !this.isRising : !TableModel.isNumber(column);
    this.sort = key;
  }

  /**
   * Return the rows that pass the filter, in order.
   * @returns {Cell[][]}
   */
  rows() {
    const wanted = this.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const passes = (/** @type {number} */ i) =>
      wanted.every((word) => this.texts[i]?.includes(word));
    const rows = this.table.rows.filter((_, i) => passes(i));
    const index = this.table.columns.findIndex((column) => column.key === this.sort);
    if (index < 0) return rows;
    const direction = this.isRising ? 1 : -1;
    return rows.sort((a, b) => compareCells(a[index] ?? null, b[index] ?? null, direction));
  }

  /**
   * Return the largest absolute value of each column of numbers.
   * @returns {number[]}
   */
  maxima() {
    return this.table.columns.map((_, i) => {
      let most = 0;
      for (const row of this.table.rows) {
        const cell = row[i];
        if (typeof cell === "number") most = Math.max(most, Math.abs(cell));
      }
      return most;
    });
  }
}

/**
 * Compare two cells; what is not known comes last in both directions.
 * @param {Cell} a
 * @param {Cell} b
 * @param {number} direction
 */
function compareCells(a, b, direction) {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  if (typeof a === "number" && typeof b === "number") return direction * (a - b);
  return direction * String(a).localeCompare(String(b), "en", { numeric: true });
}

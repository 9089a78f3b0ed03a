// Arrow keys in a table: one cell at a time has the focus, and only that one is a stop of Tab.

const PAGE_ROWS = 10;

/** @type {Record<string, [number, number]>} rows and columns to move */
const GRID_STEPS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-PAGE_ROWS, 0],
  PageDown: [PAGE_ROWS, 0],
  Home: [0, -Infinity],
  End: [0, Infinity],
};

/**
 * Move the focus to another cell of the table in which a key was pressed.
 * @param {KeyboardEvent} event
 */
export function moveInGrid(event) {
  const target = event.target instanceof Element ? event.target : null;
  const cell = target?.closest("td, th");
  const step = GRID_STEPS[event.key];
  if (
    !(cell instanceof HTMLTableCellElement) ||
    !step ||
    event.ctrlKey ||
    event.altKey ||
    event.metaKey
  )
    return;
  const table = cell.closest("table");
  const row = cell.parentElement;
  if (!table || !(row instanceof HTMLTableRowElement)) return;
  const rowIndex = Math.min(Math.max(row.rowIndex + step[0], 0), table.rows.length - 1);
  const cells = table.rows[rowIndex]?.cells;
  const next = cells?.[Math.min(Math.max(cell.cellIndex + step[1], 0), cells.length - 1)];
  if (!next) return;
  event.preventDefault();
  const focusable = next.querySelector("button") ?? next;
  for (const old of table.querySelectorAll('[tabindex="0"]')) old.setAttribute("tabindex", "-1");
  focusable.setAttribute("tabindex", "0");
  focusable.focus();
}

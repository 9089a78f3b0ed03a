// The program's own code, line by line, with what each line allocated.

import { html, section } from "./dom.js";
import { baseName, formatBytes } from "./format.js";
import { recordRoute, registerView } from "./links.js";
import { termText, valueText } from "./quantity.js";
import { explain } from "./tooltip.js";

/** @import { LinesOfFile } from "./document" */

const LINES_ID = "lines";
const LINES_HELP =
  "What the lines of the program's own files allocated, beside the source where it could be read.";

/**
 * Return the section of the program's own lines.
 * @param {LinesOfFile[]} files the largest first
 */
export function linesSection(files) {
  const select = html(
    "select",
    {},
    ...files.map((one, i) => html("option", { value: i }, one.file)),
  );
  const place = html("div", { class: "lines-of-file" });
  /** @param {number} index */
  const show = (index) => {
    const file = files[index] ?? files[0];
    if (!file) return;
    select.value = String(files.indexOf(file));
    place.replaceChildren(fileTable(file));
  };
  select.addEventListener("change", () => {
    show(Number(select.value));
    recordRoute(LINES_ID, { file: files[Number(select.value)]?.file ?? null });
  });
  registerView(LINES_ID, (params) => {
    show(
      Math.max(
        files.findIndex((one) => one.file === params.get("file")),
        0,
      ),
    );
  });
  show(0);
  const tools = html(
    "div",
    { class: "toolbar" },
    html("label", { class: "grow" }, html("span", {}, "File"), select),
  );
  return section(LINES_ID, "Line by line", LINES_HELP, files.length > 1 ? tools : null, place);
}

/** @param {LinesOfFile} file */
function fileTable(file) {
  const most = file.rows.reduce((sum, row) => Math.max(sum, row[1] ?? 0, row[2] ?? 0), 0);
  /** @type {(value: number | null, term: string, line: number) => HTMLElement} */
  const cell = (value, term, line) => {
    const element = html("td", { class: "number bar" }, value ? formatBytes(value) : "");
    if (!value) return element;
    element.style.setProperty("--share", `${most ? ((100 * value) / most).toFixed(1) : 0}%`);
    return explain(
      element,
      `${valueText(value, "bytes", "")}\nLine ${line}\n${termText(term)}`,
      false,
    );
  };
  let before = file.first_line - 1;
  const rows = file.rows.map(([line, live, allocated, text]) => {
    const isGap = line !== before + 1;
    before = line;
    return html(
      "tr",
      { class: isGap ? "gap" : null },
      html("th", { scope: "row", class: "number" }, line),
      cell(live, "live_bytes", line),
      cell(allocated, "allocated_bytes", line),
      html("td", {}, html("code", {}, text ?? "")),
    );
  });
  const headers = ["Line", "Live", "Allocated", "Source"].map((text, i) =>
    html("th", { scope: "col", class: i < 3 ? "number" : null }, text),
  );
  const label = `Lines of ${baseName(file.file)}`;
  return html(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    html(
      "table",
      { class: "plain lines" },
      html("caption", {}, html("code", {}, file.file)),
      html("thead", {}, html("tr", {}, ...headers)),
      html("tbody", {}, ...rows),
    ),
  );
}

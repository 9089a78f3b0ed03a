// The chart of memory over time, with the limit and what happened.

import { disclosure, html, onResize, plainTable, section, svg } from "./dom.js";
import { formatBytes, formatClock, formatDuration } from "./format.js";
import { recordRoute, registerView } from "./links.js";
import { nearestIndex } from "./scales.js";
import {
  chartContents,
  chartFrame,
  chartX,
  chartY,
  isLimitShown,
  markSymbol,
  presentKinds,
} from "./timeline_chart.js";
import { explain, hideTooltip, showTooltip } from "./tooltip.js";

/** @import { Series, Timeline } from "./document" */

const TIMELINE_ID = "timeline";
const TIMELINE_TABLE_ROWS = 40;
const MARK_REACH_PX = 7;
const KIND_LABELS = {
  snapshot: "heap snapshot",
  alert: "alert",
  deploy: "deploy",
  collection: "garbage collection",
};
const TIMELINE_HELP = "What the process and its heap took, from the first reading to the last.";
const TIMELINE_KEYS = "Arrow keys left and right read the values; Home and End go to the ends.";

class TimelineView {
  /** @param {Timeline} timeline */
  constructor(timeline) {
    this.timeline = timeline;
    /** @type {Set<string>} */
    this.hidden = new Set();
    this.index = -1;
    this.picture = svg("svg", { "aria-hidden": "true", focusable: "false" });
    this.frame = html(
      "div",
      {
        class: "chart",
        tabindex: 0,
        role: "group",
        "aria-label": this.summary(),
        "aria-describedby": "timeline-keys",
      },
      this.picture,
    );
    this.announcement = html("p", { class: "unseen", "aria-live": "polite" });
    this.toggles = timeline.series.map((series, i) => this.toggle(series, i));
    this.table = disclosure("Readings as a table", () => [this.readingTable()]);
    this.element = section(
      TIMELINE_ID,
      "Memory over time",
      TIMELINE_HELP,
      html(
        "div",
        { class: "toolbar chips", role: "group", "aria-label": "Lines" },
        ...this.toggles,
      ),
      this.frame,
      this.legend(),
      html("p", { class: "keys", id: "timeline-keys" }, TIMELINE_KEYS),
      this.announcement,
      this.table.element,
    );
    this.listen();
  }

  get shown() {
    return this.timeline.series.filter((series) => !this.hidden.has(series.key));
  }

  summary() {
    const parts = this.timeline.series.map((series) => {
      const known = series.bytes.filter((bytes) => bytes !== null);
      const first = known[0];
      const last = known[known.length - 1];
      if (first === undefined || last === undefined) return `${series.label}: no values`;
      return `${series.label}: ${formatBytes(first)} at the start, ${formatBytes(last)} at the end`;
    });
    return `Chart of memory over time. ${parts.join(". ")}.`;
  }

  /**
   * @param {Series} series
   * @param {number} number
   */
  toggle(series, number) {
    const last = series.bytes.findLast((bytes) => bytes !== null);
    const element = html(
      "button",
      { type: "button", class: "chip", "aria-pressed": "true", "data-series": series.key },
      html("i", { class: `swatch series-${number % 6}` }),
      series.label,
      typeof last === "number" ? html("b", {}, formatBytes(last)) : null,
    );
    element.addEventListener("click", () => {
      if (this.hidden.has(series.key)) this.hidden.delete(series.key);
      else this.hidden.add(series.key);
      this.showToggles();
      recordRoute(TIMELINE_ID, { hide: [...this.hidden].join(",") }, false);
      this.draw();
    });
    return explain(element, `${series.label}, last value\n${series.help}`);
  }

  showToggles() {
    this.timeline.series.forEach((series, i) => {
      this.toggles[i]?.setAttribute("aria-pressed", String(!this.hidden.has(series.key)));
    });
  }

  legend() {
    const kinds = presentKinds(this.timeline).map((kind) =>
      html(
        "li",
        {},
        svg(
          "svg",
          { viewBox: "-7 -7 14 14", class: "symbol", "aria-hidden": "true" },
          markSymbol(kind),
        ),
        KIND_LABELS[kind],
      ),
    );
    const limit = this.timeline.limit_bytes;
    const isFar = limit !== null && !isLimitShown(this.timeline, this.timeline.series);
    const note = isFar
      ? html("li", {}, `The limit of ${formatBytes(limit)} is far above the chart.`)
      : null;
    if (!kinds.length && !note) return null;
    return html("ul", { class: "legend", "aria-label": "Marks" }, ...kinds, note);
  }

  listen() {
    this.frame.addEventListener("pointermove", (event) => {
      const place = this.frame.getBoundingClientRect();
      this.read(event.clientX - place.left, event.clientX - place.left);
    });
    this.frame.addEventListener("pointerleave", () => this.leave());
    this.frame.addEventListener("blur", () => this.leave());
    this.frame.addEventListener("keydown", (event) => this.pressKey(event));
    onResize(this.frame, () => this.draw());
    registerView(TIMELINE_ID, (params) => {
      this.hidden = new Set((params.get("hide") ?? "").split(",").filter(Boolean));
      this.showToggles();
      this.draw();
    });
  }

  leave() {
    hideTooltip();
    this.index = -1;
    this.cross?.remove();
  }

  draw() {
    const width = this.frame.clientWidth;
    if (!width) return;
    this.place = chartFrame(this.timeline, this.shown, width);
    this.picture.setAttribute("viewBox", `0 0 ${width} ${this.place.height}`);
    this.picture.setAttribute("height", String(this.place.height));
    this.picture.replaceChildren(...chartContents(this.timeline, this.shown, this.place));
  }

  /**
   * Read the chart at a place: the nearest reading, and the marks close by.
   * @param {number} x in pixels of the chart
   * @param {number} markX where marks are looked for
   */
  read(x, markX) {
    if (!this.place) return;
    const { place, timeline } = this;
    const seconds = ((x - place.left) / (place.right - place.left)) * place.spanSeconds;
    this.index = nearestIndex(timeline.seconds, seconds);
    const marks = timeline.marks.filter(
      (mark) => Math.abs(chartX(place, mark.seconds) - markX) <= MARK_REACH_PX,
    );
    this.showReading(marks.slice(0, 6).map((mark) => `${KIND_LABELS[mark.kind]}: ${mark.label}`));
  }

  /** @param {string[]} marks */
  showReading(marks) {
    const { place, timeline, index } = this;
    const at = timeline.seconds[index];
    if (!place || at === undefined) return;
    const lines = this.shown.map((series) => {
      const bytes = series.bytes[index];
      return `${series.label}: ${typeof bytes === "number" ? formatBytes(bytes) : "not known"}`;
    });
    const x = chartX(place, at);
    this.cross?.remove();
    this.cross = svg("g", { class: "cross" });
    this.cross.append(svg("line", { x1: x, x2: x, y1: place.top, y2: place.bottom }));
    for (const series of this.shown) {
      const bytes = series.bytes[index];
      if (typeof bytes !== "number") continue;
      const number = timeline.series.indexOf(series) % 6;
      this.cross.append(
        svg("circle", { class: `series-${number}`, cx: x, cy: chartY(place, bytes), r: 4 }),
      );
    }
    this.picture.append(this.cross);
    const title = `${formatDuration(at)} after the start, ${formatClock(timeline.start + at)}`;
    const box = this.frame.getBoundingClientRect();
    const isLeft = x > place.width * 0.6;
    showTooltip(
      [title, ...lines, ...marks].join("\n"),
      box.left + x + (isLeft ? -270 : 14),
      box.top + 20,
      box.top + 20,
    );
    return [title, ...lines, ...marks].join(", ");
  }

  /** @param {KeyboardEvent} event */
  pressKey(event) {
    const last = this.timeline.seconds.length - 1;
    const step = Math.max(1, Math.round(last / 100));
    const start = this.index < 0 ? last : this.index;
    /** @type {Record<string, number>} */
    const targets = { ArrowLeft: start - step, ArrowRight: start + step, Home: 0, End: last };
    const target = targets[event.key];
    if (event.key === "Escape") this.leave();
    if (target === undefined || !this.place) return;
    event.preventDefault();
    this.index = Math.min(Math.max(target, 0), last);
    const x = chartX(this.place, this.timeline.seconds[this.index] ?? 0);
    const marks = this.timeline.marks.filter(
      (mark) =>
        Math.abs(
          chartX(/** @type {NonNullable<typeof this.place>} */ (this.place), mark.seconds) - x,
        ) <= MARK_REACH_PX,
    );
    const text = this.showReading(
      marks.slice(0, 6).map((mark) => `${KIND_LABELS[mark.kind]}: ${mark.label}`),
    );
    this.announcement.textContent = text ?? "";
  }

  readingTable() {
    const { seconds, series, marks, start } = this.timeline;
    const step = Math.max(1, Math.ceil(seconds.length / TIMELINE_TABLE_ROWS));
    const rows = [];
    for (let i = 0; i < seconds.length; i += step) {
      const values = series.map(({ bytes }) => {
        const value = bytes[i];
        return typeof value === "number" ? formatBytes(value) : "–";
      });
      rows.push([formatDuration(seconds[i] ?? 0), ...values]);
    }
    const list = marks
      .slice(0, TIMELINE_TABLE_ROWS)
      .map((mark) =>
        html(
          "li",
          {},
          `${formatClock(start + mark.seconds)} · ${KIND_LABELS[mark.kind]}: ${mark.label}`,
        ),
      );
    return html(
      "div",
      {},
      plainTable("Readings", ["Time", ...series.map(({ label }) => label)], rows),
      list.length ? html("h3", {}, "What happened") : null,
      list.length ? html("ol", { class: "events" }, ...list) : null,
    );
  }
}

/**
 * Return the section of the timeline.
 * @param {Timeline} timeline
 */
export function timelineSection(timeline) {
  return new TimelineView(timeline).element;
}

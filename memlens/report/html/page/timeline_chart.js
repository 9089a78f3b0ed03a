// The drawing of the timeline: axes, lines, limit, marks.

import { svg } from "./dom.js";
import { formatBytes, formatDuration } from "./format.js";
import { byteTicks, timeTicks } from "./scales.js";

/** @import { Mark, Series, Timeline } from "./document" */
/** @typedef {{width: number, height: number, left: number, right: number, top: number, bottom: number, spanSeconds: number, maxBytes: number}} ChartFrame */

export const MARK_KINDS = /** @type {const} */ (["snapshot", "alert", "deploy", "collection"]);
const MARK_PATHS = {
  snapshot: "M0-5 5 0 0 5-5 0Z",
  alert: "M0-5.5 5.5 4.5-5.5 4.5Z",
  deploy: "M-4.5-4.5h9v9h-9Z",
  collection: "M-1.25-4.5h2.5v9h-2.5Z",
};
const MARK_LANE_PX = 16;
const MAX_DOTS = 24;
const LIMIT_FACTOR = 4; // a limit that is further above the data would flatten the lines

/**
 * Return a symbol for a kind of mark.
 * @param {Mark["kind"]} kind
 */
export function markSymbol(kind) {
  return svg("path", { d: MARK_PATHS[kind], class: `mark ${kind}` });
}

/**
 * Return the kinds of marks that a timeline has.
 * @param {Timeline} timeline
 */
export function presentKinds(timeline) {
  return MARK_KINDS.filter((kind) => timeline.marks.some((mark) => mark.kind === kind));
}

/**
 * Return the largest value of some series.
 * @param {Series[]} series
 */
export function maxOf(series) {
  let most = 0;
  for (const { bytes } of series)
    for (const value of bytes) if (value && value > most) most = value;
  return most;
}

/**
 * Return whether the limit is near enough to the data to be in the chart.
 * @param {Timeline} timeline
 * @param {Series[]} shown
 */
export function isLimitShown(timeline, shown) {
  const limit = timeline.limit_bytes;
  return limit !== null && limit > 0 && limit <= LIMIT_FACTOR * Math.max(maxOf(shown), 1);
}

/**
 * Return the places of the chart's parts, and its scales.
 * @param {Timeline} timeline
 * @param {Series[]} shown
 * @param {number} width in pixels
 * @returns {ChartFrame}
 */
export function chartFrame(timeline, shown, width) {
  const lanes = presentKinds(timeline).length * MARK_LANE_PX;
  const height = (width < 560 ? 220 : 300) + lanes;
  const top = isLimitShown(timeline, shown) ? (timeline.limit_bytes ?? 0) : 0;
  const ticks = byteTicks(Math.max(maxOf(shown), top) * 1.02, 5);
  const seconds = timeline.seconds;
  return {
    width,
    height,
    left: 68,
    right: width - 12,
    top: 14,
    bottom: height - 26 - lanes,
    spanSeconds: Math.max(
      seconds[seconds.length - 1] ?? 0,
      ...timeline.marks.map((m) => m.seconds),
      1e-3,
    ),
    maxBytes: ticks[ticks.length - 1] ?? 1,
  };
}

/**
 * @param {ChartFrame} frame
 * @param {number} seconds
 */
export function chartX(frame, seconds) {
  return frame.left + ((frame.right - frame.left) * seconds) / frame.spanSeconds;
}

/**
 * @param {ChartFrame} frame
 * @param {number} bytes
 */
export function chartY(frame, bytes) {
  return frame.bottom - ((frame.bottom - frame.top) * bytes) / frame.maxBytes;
}

/**
 * Return the contents of the chart.
 * @param {Timeline} timeline
 * @param {Series[]} shown
 * @param {ChartFrame} frame
 */
export function chartContents(timeline, shown, frame) {
  return [
    ...axes(frame),
    ...markLanes(timeline, frame),
    ...(isLimitShown(timeline, shown) ? limitLine(timeline, frame) : []),
    ...shown.map((series) => {
      const number = timeline.series.indexOf(series);
      return svg("path", {
        class: `line series-${number % 6}`,
        d: linePath(series, timeline.seconds, frame),
      });
    }),
    ...shown.flatMap((series) => dots(timeline, series, frame)),
  ];
}

/** @param {ChartFrame} frame */
function axes(frame) {
  const parts = [];
  for (const bytes of byteTicks(frame.maxBytes * 0.999, 5)) {
    const y = chartY(frame, bytes);
    parts.push(svg("line", { class: "grid", x1: frame.left, x2: frame.right, y1: y, y2: y }));
    parts.push(
      svg(
        "text",
        { class: "tick", x: frame.left - 8, y: y + 4, "text-anchor": "end" },
        formatBytes(bytes),
      ),
    );
  }
  for (const seconds of timeTicks(frame.spanSeconds, Math.max(frame.width / 130, 2))) {
    const x = chartX(frame, seconds);
    const anchor = x > frame.right - 24 ? "end" : "middle";
    parts.push(
      svg("line", { class: "grid", x1: x, x2: x, y1: frame.bottom, y2: frame.bottom + 4 }),
    );
    parts.push(
      svg(
        "text",
        { class: "tick", x, y: frame.bottom + 18, "text-anchor": anchor },
        formatDuration(seconds),
      ),
    );
  }
  return parts;
}

/**
 * @param {Timeline} timeline
 * @param {ChartFrame} frame
 */
function limitLine(timeline, frame) {
  const limit = timeline.limit_bytes ?? 0;
  const y = chartY(frame, limit);
  const source = timeline.limit_source ? ` (${timeline.limit_source})` : "";
  return [
    svg("line", { class: "limit", x1: frame.left, x2: frame.right, y1: y, y2: y }),
    svg(
      "text",
      { class: "limit-label", x: frame.left + 6, y: y + 14 },
      `limit ${formatBytes(limit)}${source}`,
    ),
  ];
}

/**
 * Return the path of a series. It is interrupted where there is no value, unless most have none: the
 * sizes that only snapshots know are joined.
 * @param {Series} series
 * @param {number[]} seconds
 * @param {ChartFrame} frame
 */
function linePath(series, seconds, frame) {
  let path = "";
  let isDown = false;
  const joins = isSparse(series);
  series.bytes.forEach((bytes, i) => {
    if (bytes === null) {
      isDown = isDown && joins;
      return;
    }
    const x = chartX(frame, seconds[i] ?? 0).toFixed(1);
    path += `${isDown ? "L" : "M"}${x} ${chartY(frame, bytes).toFixed(1)}`;
    isDown = true;
  });
  return path;
}

/** @param {Series} series */
function isSparse(series) {
  return series.bytes.filter((bytes) => bytes !== null).length * 2 < series.bytes.length;
}

/**
 * Return dots for the values of a series that has few.
 * @param {Timeline} timeline
 * @param {Series} series
 * @param {ChartFrame} frame
 */
function dots(timeline, series, frame) {
  const known = series.bytes.filter((bytes) => bytes !== null).length;
  if (known > MAX_DOTS || (!isSparse(series) && known > 2)) return [];
  const number = timeline.series.indexOf(series) % 6;
  return series.bytes.flatMap((bytes, i) => {
    if (bytes === null) return [];
    const cx = chartX(frame, timeline.seconds[i] ?? 0);
    return [svg("circle", { class: `series-${number}`, cx, cy: chartY(frame, bytes), r: 2.5 })];
  });
}

/**
 * @param {Timeline} timeline
 * @param {ChartFrame} frame
 */
function markLanes(timeline, frame) {
  const kinds = presentKinds(timeline);
  const parts = [];
  for (const mark of timeline.marks) {
    const x = chartX(frame, mark.seconds);
    const y = frame.bottom + 26 + (kinds.indexOf(mark.kind) + 0.5) * MARK_LANE_PX;
    if (mark.kind !== "collection") {
      parts.push(
        svg("line", { class: `mark-line ${mark.kind}`, x1: x, x2: x, y1: frame.top, y2: y - 6 }),
      );
    }
    const symbol = markSymbol(mark.kind);
    symbol.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
    parts.push(symbol);
  }
  return parts;
}

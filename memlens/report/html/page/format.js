// Numbers as people read them. The units and digits are those of memlens/_text.py.

/** @import { Cell, Unit } from "./document" */

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/**
 * Return a size in binary units with three significant digits: "1.46 MiB", "512 B".
 * @param {number} bytes
 */
export function formatBytes(bytes) {
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  const text = value.toFixed(digits);
  return `${bytes < 0 && Number(text) ? "-" : ""}${text} ${BYTE_UNITS[unit]}`;
}

/**
 * Return a number with thousands separated: "1,234,567".
 * @param {number} count
 */
export function formatCount(count) {
  return Number.isInteger(count) ? GROUPED.format(count) : count.toLocaleString("en-US");
}

/**
 * Return a time span in a suitable unit: "3.2 ms", "4 min 10 s", "2 h 5 min".
 * @param {number} seconds
 * @returns {string}
 */
export function formatDuration(seconds) {
  if (seconds < 0) return `-${formatDuration(-seconds)}`;
  if (seconds === 0) return "0 s";
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(1)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(1)} ms`;
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  let minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  let hours = Math.floor(minutes / 60);
  minutes %= 60;
  if (hours < 48) return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  hours %= 24;
  return hours ? `${days} d ${hours} h` : `${days} d`;
}

/**
 * Return a share from 0 to 1 as a percentage: "34 %", "2.1 %", "< 0.01 %".
 * @param {number} share
 */
export function formatShare(share) {
  const percent = share * 100;
  if (percent > 0 && percent < 0.01) return "< 0.01 %";
  const digits = Math.abs(percent) >= 9.95 || percent === 0 ? 0 : Math.abs(percent) >= 0.95 ? 1 : 2;
  return `${percent.toFixed(digits)} %`;
}

/**
 * Return the local date and time of an epoch: "2026-11-26 16:02:56".
 * @param {number} epochSeconds
 */
export function formatClock(epochSeconds) {
  const date = new Date(epochSeconds * 1000);
  if (Number.isNaN(date.getTime())) return "";
  /** @param {number} part */
  const two = (part) => String(part).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/**
 * Return the date and time of an epoch in UTC, as hosts in several places need: "2026-11-26 16:02 UTC".
 * @param {number} epochSeconds
 */
export function formatUtc(epochSeconds) {
  const date = new Date(epochSeconds * 1000);
  if (Number.isNaN(date.getTime())) return "";
  return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/**
 * Return a value in its unit, short enough for a table.
 * @param {Cell} value
 * @param {Unit} unit
 */
export function formatValue(value, unit) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  switch (unit) {
    case "bytes":
      return formatBytes(value);
    case "change_bytes":
      return (value > 0 ? "+" : "") + formatBytes(value);
    case "change_count":
      return (value > 0 ? "+" : "") + formatCount(value);
    case "percent":
      return formatShare(value / 100);
    case "bytes_per_hour":
      return `${value > 0 ? "+" : ""}${formatBytes(value)}/h`;
    case "time":
      return formatUtc(value);
    case "number":
      return value.toLocaleString("en-US", { maximumSignificantDigits: 3 });
    case "seconds":
      return formatDuration(value);
    default:
      return formatCount(value);
  }
}

/**
 * Return a value with all its digits: "12,345,678 bytes"; "" if the short text has them all.
 * @param {Cell} value
 * @param {Unit} unit
 */
export function exactValue(value, unit) {
  if (typeof value !== "number") return "";
  const sign = unit.startsWith("change") && value > 0 ? "+" : "";
  if (unit === "bytes_per_hour") return `${formatCount(Math.round(value))} bytes an hour`;
  if (unit.endsWith("bytes")) return `${sign}${formatCount(Math.round(value))} bytes`;
  if (unit === "seconds" && value >= 60) return `${formatCount(Math.round(value))} seconds`;
  return "";
}

/**
 * Return a path without its folders.
 * @param {string} path
 */
export function baseName(path) {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1) || path;
}

/**
 * Return where a function is: "store.py:28", or only the file if the line is not known.
 * @param {string} file
 * @param {number} line
 */
export function placeText(file, line) {
  if (!file) return "";
  return line > 0 ? `${baseName(file)}:${line}` : baseName(file);
}

/**
 * Return a text of at most `width` characters; "..." replaces a part of its middle.
 * @param {string} text
 * @param {number} width
 */
export function middleCut(text, width) {
  if (text.length <= width) return text;
  const head = Math.floor((width - 3) / 2);
  return `${text.slice(0, head)}...${text.slice(text.length - (width - 3 - head))}`;
}

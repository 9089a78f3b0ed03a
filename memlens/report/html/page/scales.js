// Round values for the axes of a chart.

const TIME_STEPS_SECONDS = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
  86400, 172800, 604800,
];

/**
 * Return round sizes in bytes from 0 to at least `maxBytes`.
 * @param {number} maxBytes
 * @param {number} wanted about how many steps
 */
export function byteTicks(maxBytes, wanted) {
  const rough = Math.max(maxBytes, 1) / wanted;
  let unit = 1;
  while (rough / unit >= 1000) unit *= 1024;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough / unit, 1)));
  const factor = [1, 2, 2.5, 5, 10].find((one) => one * power >= rough / unit) ?? 10;
  const step = Math.max(factor * power * unit, 1);
  const ticks = [];
  for (let i = 0; i * step < maxBytes + step; i += 1) ticks.push(i * step);
  return ticks;
}

/**
 * Return round times in seconds within a span that starts at 0.
 * @param {number} spanSeconds
 * @param {number} wanted about how many steps
 */
export function timeTicks(spanSeconds, wanted) {
  const rough = spanSeconds / wanted;
  const step = TIME_STEPS_SECONDS.find((one) => one >= rough) ?? Math.ceil(rough / 604800) * 604800;
  const ticks = [];
  for (let i = 0; i * step <= spanSeconds; i += 1) ticks.push(i * step);
  return ticks;
}

/**
 * Return the place of the value that is nearest, in an array that rises.
 * @param {number[]} values
 * @param {number} wanted
 */
export function nearestIndex(values, wanted) {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  const before = values[low - 1];
  const at = values[low] ?? 0;
  return before !== undefined && wanted - before < at - wanted ? low - 1 : low;
}

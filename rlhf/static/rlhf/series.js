// What run-charts.js draws and writes, as pure functions: figures, smoothing, series on common steps.

/** @typedef {[number, number|null, number|null]} Point step, value or null where it was not finite, seconds */

/** @param {number|null|undefined} value */
export function figure(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const place = Math.floor(Math.log10(Math.abs(value)));
  if (place < -3) return value.toExponential(1);
  const digits = Math.max(0, 2 - place);
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** @param {number} value */
export function tick(value) {
  return value?.toLocaleString("en", { maximumSignificantDigits: 4 }) ?? "";
}

/** Exponential smoothing that starts without bias; a gap stays a gap. @param {(number|null)[]} values */
export function smoothed(values, weight) {
  let sum = 0;
  let mass = 0;
  return values.map((value) => {
    if (value === null || value === undefined) return value;
    sum = weight * sum + (1 - weight) * value;
    mass = weight * mass + (1 - weight);
    return sum / mass;
  });
}

/** The series of one chart over their common steps. @param {Point[][]} series @returns {[number[], (number|null)[][]]} */
export function aligned(series) {
  const columns = series.map((points) => new Map(points.map(([step, value]) => [step, value])));
  const steps = [...new Set(columns.flatMap((column) => [...column.keys()]))].sort((a, b) => a - b);
  return [steps, columns.map((column) => steps.map((step) => (column.has(step) ? column.get(step) : undefined)))];
}

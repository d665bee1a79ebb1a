// A number between -1 and 1 as a colour: blue negative, white zero, red positive; and how each kind of node becomes one.

const NEGATIVE = [33, 102, 220];
const POSITIVE = [210, 30, 45];
const LEAST_SIGN = 0.1;
const WIDEST_INPUT = 1.2;
const WIDEST_LOG = 2;

export const clamp = (value) => Math.max(-1, Math.min(1, value));

/** @param {number} v @returns {[number, number, number]} */
export function rgb(v) {
  const strength = Math.abs(clamp(v));
  const far = v < 0 ? NEGATIVE : POSITIVE;
  return far.map((channel) => Math.round(255 + strength * (channel - 255)));
}

/** @param {number} v */
export const css = (v) => `rgb(${rgb(v).join(" ")})`;

/** What stands inside the node, so that colour is never alone. @param {number} v */
export const sign = (v) => (Math.abs(v) < LEAST_SIGN ? "" : v < 0 ? "−" : "+");

/** @param {number} x an input of the network */
export const ofInput = (x) => clamp(x / WIDEST_INPUT);

/** Each option against the mean of all. @param {number[]} logs log p of the options */
export function ofOptions(logs) {
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  return logs.map((log) => clamp((log - mean) / WIDEST_LOG));
}

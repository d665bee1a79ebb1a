// The network of the game in float64: its weights, a forward pass, a copy. With step.js the twin of net.py, equal to 1e-9
// over 100 steps; the order of the sums is part of that promise.

import { mulberry32 } from "./prng.js";

export const D = 12;
export const H = 16;
export const NAMES = ["E", "W1", "b1", "W2", "b2", "copy", "g"]; // the order of every file and sum
const RARE = 0.001; // a word this common weighs half of an unseen one in the context

/**
 * Matrices row by row: E [V, D], W1 [H, 3 D], W2 [V, H]. u: how common each word is, counted and not learned.
 * @typedef {{u: Float64Array, E: Float64Array, W1: Float64Array, b1: Float64Array, W2: Float64Array, b2: Float64Array,
 *   copy: Float64Array, g: Float64Array}} Net
 *
 * left, right: up to five ids, nearest first; context: at most 60, in reading order.
 * @typedef {{left: number[], right: number[], context: number[]}} Example
 *
 * x: left, right and context, pooled; z, p: [V]; loss of a word: log(sum) + top - z.
 * @typedef {{example: Example, alpha: Float64Array, x: Float64Array, h: Float64Array, q: Float64Array, f: Float64Array,
 *   z: Float64Array, p: Float64Array, top: number, sum: number}} Pass
 */

/** A network that has read nothing. @param {number} seed @param {Float64Array} u @returns {Net} */
export function newborn(seed, u) {
  const draw = mulberry32(seed);
  const drawn = (count, reach) => Float64Array.from({ length: count }, () => (2 * draw() - 1) * reach);
  const V = u.length;
  const [E, W1, W2] = [drawn(V * D, 0.5), drawn(H * 3 * D, 0.3), drawn(V * H, 0.17)];
  const zeros = (count) => new Float64Array(count);
  return { u, E, W1, b1: zeros(H), W2, b2: zeros(V), copy: zeros(1), g: zeros(D) };
}

/** @param {Net} net @param {Example} example @returns {Pass} */
export function forward(net, example) {
  const { u, E, W1, b1, W2, b2, g } = net;
  const V = u.length;
  const x = new Float64Array(3 * D);
  const alpha = rarity(u, example.context);
  example.left.forEach((word, k) => pool(x, 0, E, word, 1 / (k + 1)));
  example.right.forEach((word, k) => pool(x, D, E, word, 1 / (k + 1)));
  example.context.forEach((word, j) => pool(x, 2 * D, E, word, alpha[j]));
  const f = new Float64Array(V);
  for (const word of example.context) f[word] += 1;
  for (const word of new Set(example.context)) f[word] = Math.log(1 + f[word]);
  const h = new Float64Array(H);
  for (let k = 0; k < H; k += 1) {
    let sum = b1[k];
    for (let i = 0; i < 3 * D; i += 1) sum += W1[k * 3 * D + i] * x[i];
    h[k] = Math.tanh(sum);
  }
  const q = g.map((gain, i) => gain * x[2 * D + i]);
  const copy = net.copy[0];
  const z = new Float64Array(V);
  let top = -Infinity;
  for (let w = 0; w < V; w += 1) {
    let sum = b2[w];
    for (let k = 0; k < H; k += 1) sum += W2[w * H + k] * h[k];
    for (let i = 0; i < D; i += 1) sum += E[w * D + i] * q[i];
    z[w] = sum + copy * f[w];
    if (z[w] > top) top = z[w];
  }
  const p = new Float64Array(V);
  let sum = 0;
  for (let w = 0; w < V; w += 1) {
    p[w] = Math.exp(z[w] - top);
    sum += p[w];
  }
  for (let w = 0; w < V; w += 1) p[w] /= sum;
  return { example, alpha, x, h, q, f, z, p, top, sum };
}

function rarity(u, context) {
  const weights = new Float64Array(context.length);
  let sum = 0;
  context.forEach((word, j) => {
    weights[j] = RARE / (RARE + u[word]);
    sum += weights[j];
  });
  return weights.map((weight) => (2 * weight) / sum);
}

/** x[at…] += weight × the word's row of E. */
export function pool(x, at, E, word, weight) {
  for (let i = 0; i < D; i += 1) x[at + i] += weight * E[word * D + i];
}

/** −log p of the word, in nats. @param {Pass} pass @param {number} word */
export const loss = (pass, word) => Math.log(pass.sum) + pass.top - pass.z[word];

/** A copy that later steps do not touch. @param {Net} net @returns {Net} */
export const twin = (net) => ({ u: net.u, ...Object.fromEntries(NAMES.map((name) => [name, net[name].slice()])) });

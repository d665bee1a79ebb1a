// One step of the network on an answer, what it changed, and how it is taken back.

import { D, forward, H, loss, NAMES, pool } from "./net.js";

/** What z of a word is made of. @param {import("./net.js").Net} net @param {import("./net.js").Pass} pass @param {number} word */
export function parts(net, pass, word) {
  let [hidden, pull] = [0, 0];
  for (let k = 0; k < H; k += 1) hidden += net.W2[word * H + k] * pass.h[k];
  for (let i = 0; i < D; i += 1) pull += net.E[word * D + i] * pass.q[i];
  return { common: net.b2[word], hidden, pull, seen: net.copy[0] * pass.f[word] };
}

/** θ ← θ − η ∂θ on every weight, all slopes taken before. @param {import("./net.js").Net} net @param {import("./net.js").Pass} pass */
export function step(net, pass, gold, eta) {
  const { E, W1, b1, W2, b2, copy, g } = net;
  const { x, h, q, f, alpha, example } = pass;
  const V = b2.length;
  const delta = pass.p.slice();
  delta[gold] -= 1;
  const [dh, m] = [new Float64Array(H), new Float64Array(D)];
  let dcopy = 0;
  for (let w = 0; w < V; w += 1) {
    for (let k = 0; k < H; k += 1) dh[k] += delta[w] * W2[w * H + k];
    for (let i = 0; i < D; i += 1) m[i] += delta[w] * E[w * D + i];
    dcopy += delta[w] * f[w];
  }
  const da = dh.map((slope, k) => slope * (1 - h[k] * h[k]));
  const dx = new Float64Array(3 * D);
  for (let k = 0; k < H; k += 1) for (let i = 0; i < 3 * D; i += 1) dx[i] += da[k] * W1[k * 3 * D + i];
  const dc = g.map((gain, i) => dx[2 * D + i] + gain * m[i]);
  for (let w = 0; w < V; w += 1) {
    for (let k = 0; k < H; k += 1) W2[w * H + k] -= eta * (delta[w] * h[k]);
    for (let i = 0; i < D; i += 1) E[w * D + i] -= eta * (delta[w] * q[i]);
    b2[w] -= eta * delta[w];
  }
  example.left.forEach((word, k) => pool(E, word * D, dx, 0, -eta / (k + 1)));
  example.right.forEach((word, k) => pool(E, word * D, dx.subarray(D), 0, -eta / (k + 1)));
  example.context.forEach((word, j) => pool(E, word * D, dc, 0, -eta * alpha[j]));
  for (let k = 0; k < H; k += 1) {
    for (let i = 0; i < 3 * D; i += 1) W1[k * 3 * D + i] -= eta * (da[k] * x[i]);
    b1[k] -= eta * da[k];
  }
  copy[0] -= eta * dcopy;
  for (let i = 0; i < D; i += 1) g[i] -= eta * (x[2 * D + i] * m[i]);
}

/** The numbers of a copy, to the bit. @param {import("./net.js").Net} net @param {import("./net.js").Net} kept */
export function restore(net, kept) {
  for (const name of NAMES) net[name].set(kept[name]);
}

/** The sum of each array, for the replay on the server. @param {import("./net.js").Net} net @returns {number[]} */
export const digest = (net) => NAMES.map((name) => net[name].reduce((sum, value) => sum + value, 0));

/**
 * What a step did. moved: numbers that changed by more than 0.0001; norm: length of the gradient; largest: of one number.
 * @param {import("./net.js").Net} before @param {import("./net.js").Net} net @param {number} eta
 */
export function change(before, net, eta) {
  let [moved, squares, largest, size] = [0, 0, 0, 0];
  for (const name of NAMES) {
    const [now, then] = [net[name], before[name]];
    for (let at = 0; at < now.length; at += 1) {
      const by = Math.abs(now[at] - then[at]);
      if (by > 1e-4) moved += 1;
      squares += by * by;
      if (by > largest) largest = by;
    }
    size += now.length;
  }
  return { moved, size, norm: Math.sqrt(squares) / eta, largest };
}

/** What the network makes of an item with the context and without it. */
export const passes = (net, example) => ({ whole: forward(net, example), alone: forward(net, { ...example, context: [] }) });

/**
 * One step on what was evaluated. after: the same pass again; outcome: its names are those of the row.
 * @param {{whole: import("./net.js").Pass, alone: import("./net.js").Pass}} evaluated
 */
export function learn(net, { whole, alone }, { gold, eta, contextOn }) {
  const chosen = contextOn ? whole : alone;
  step(net, chosen, gold, eta);
  const after = forward(net, chosen.example);
  const outcome = {
    p_with: whole.p[gold],
    p_without: alone.p[gold],
    loss_before: loss(chosen, gold),
    loss_after: loss(after, gold),
    p_after: after.p[gold],
  };
  return { after, outcome };
}

/** Evaluates the gold and takes one step on it. @returns {object} the outcome */
export const play = (net, example, given) => learn(net, passes(net, example), given).outcome;

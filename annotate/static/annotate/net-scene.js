// What the drawing shows in a view: a value in [-1, 1] for each node, and the strongest edges. Pure.

import { clamp, ofInput, ofOptions } from "./tinynet/colour.js";
import { D, H } from "./tinynet/net.js";

const INPUTS = 3 * D;
const EDGES = 90;

/**
 * kind, from and to name nodes: input 0 to 35, hidden 0 to 15, option 0 to 3. v: against the strongest edge.
 * @typedef {{kind: "hidden"|"option"|"pull", from: number, to: number, v: number}} Edge
 */

/**
 * Before the answer nothing of the options is in it. before: the network before its last step.
 * @param {"values"|"weights"|"change"} view
 * @param {{net: object, before: object|null, pass: object, options: number[], answered: boolean, largest: number}} given
 * @returns {{inputs: number[], hidden: number[], options: number[], edges: Edge[]}}
 */
export function scene(view, { net, before, pass, options, answered, largest }) {
  const told = answered ? options : [];
  const white = { inputs: Array(INPUTS).fill(0), hidden: Array(H).fill(0), options: options.map(() => 0) };
  if (view === "values") {
    const logs = told.map((word) => Math.log(pass.p[word]));
    const edges = strongest(net, told, { x: pass.x, h: pass.h, q: pass.q });
    return { ...white, inputs: [...pass.x].map(ofInput), hidden: [...pass.h], ...(answered && { options: ofOptions(logs) }), edges };
  }
  if (view === "weights") {
    const common = told.map((word) => net.b2[word]);
    return { ...white, hidden: [...net.b1].map(clamp), ...(answered && { options: ofOptions(common) }), edges: strongest(net, told, { q: net.g }) };
  }
  if (!before) return { ...white, edges: [] };
  const moved = Object.fromEntries(["E", "W1", "W2", "b1", "b2"].map((name) => [name, net[name].map((value, at) => value - before[name][at])]));
  const scaled = (values) => [...values].map((value) => clamp(value / (largest || 1)));
  const edges = strongest(moved, told, {}, largest);
  return { ...white, hidden: scaled(moved.b1), ...(answered && { options: scaled(told.map((word) => moved.b2[word])) }), edges };
}

/** The edges with the largest weight times activation; where no activation is given, by weight alone. */
function strongest({ W1, W2, E }, told, { x, h, q }, most = 0) {
  const edges = [];
  for (let to = 0; to < H; to += 1) {
    for (let from = 0; from < INPUTS; from += 1) edges.push({ kind: "hidden", from, to, v: W1[to * INPUTS + from] * (x?.[from] ?? 1) });
  }
  told.forEach((word, to) => {
    for (let from = 0; from < H; from += 1) edges.push({ kind: "option", from, to, v: W2[word * H + from] * (h?.[from] ?? 1) });
    for (let from = 0; from < D; from += 1) edges.push({ kind: "pull", from: from + 2 * D, to, v: E[word * D + from] * (q?.[from] ?? 1) });
  });
  edges.sort((one, other) => Math.abs(other.v) - Math.abs(one.v));
  const scale = most || Math.abs(edges[0].v) || 1;
  return edges.slice(0, EDGES).map((edge) => ({ ...edge, v: clamp(edge.v / scale) }));
}

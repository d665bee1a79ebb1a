// What the drawing shows in a view: a value in [-1, 1] for each node, and the strongest edges. Pure.

import { clamp, ofInput, ofOptions } from "./tinynet/colour.js";
import { D, H } from "./tinynet/net.js";

const INPUTS = 3 * D;
const EDGES = 90;
const DRAWN = ["E", "W1", "W2", "b1", "b2"];

/**
 * kind, from and to name nodes: input 0 to 35, hidden 0 to 15, option 0 to 3. v: against the strongest edge.
 * @typedef {{kind: "hidden"|"option"|"pull", from: number, to: number, v: number}} Edge
 * before: the network before its last step; largest: what that step changed most.
 * @typedef {{net: object, before: object|null, pass: object, options: number[], answered: boolean, largest: number}} Given
 * @typedef {{input: number[], hidden: number[], option: number[], edges: Edge[]}} Scene
 */

/** Before the answer nothing of the options is in it. @param {"values"|"weights"|"change"} view @param {Given} given @returns {Scene} */
export function scene(view, given) {
  const told = given.answered ? given.options : [];
  const shown = { values, weights, change }[view](given, told);
  const white = { input: Array(INPUTS).fill(0), option: given.options.map(() => 0) };
  return { ...white, ...shown, ...(!given.answered && { option: white.option }) };
}

function values({ net, pass }, told) {
  const { x, h, q, p } = pass;
  const option = ofOptions(told.map((word) => Math.log(p[word])));
  return { input: [...x].map(ofInput), hidden: [...h], option, edges: strongest(net, told, { x, h, q }) };
}

function weights({ net }, told) {
  const option = ofOptions(told.map((word) => net.b2[word]));
  return { hidden: [...net.b1].map(clamp), option, edges: strongest(net, told, { q: net.g }) };
}

function change({ net, before, largest }, told) {
  if (!before) return { hidden: Array(H).fill(0), option: told.map(() => 0), edges: [] };
  const by = (name) => net[name].map((value, at) => value - before[name][at]);
  const moved = Object.fromEntries(DRAWN.map((name) => [name, by(name)]));
  const scaled = (value) => clamp(value / (largest || 1));
  const option = told.map((word) => scaled(moved.b2[word]));
  return { hidden: [...moved.b1].map(scaled), option, edges: strongest(moved, told, {}, largest) };
}

/** The edges with the largest weight times activation; where no activation is given, by weight alone. */
function strongest({ W1, W2, E }, told, { x, h, q }, most = 0) {
  const edges = [];
  const fan = (kind, to, count, weight, first = 0) => {
    for (let from = 0; from < count; from += 1) edges.push({ kind, from: from + first, to, v: weight(from) });
  };
  for (let to = 0; to < H; to += 1) fan("hidden", to, INPUTS, (from) => W1[to * INPUTS + from] * (x?.[from] ?? 1));
  told.forEach((word, to) => {
    fan("option", to, H, (from) => W2[word * H + from] * (h?.[from] ?? 1));
    fan("pull", to, D, (from) => E[word * D + from] * (q?.[from] ?? 1), 2 * D);
  });
  edges.sort((one, other) => Math.abs(other.v) - Math.abs(one.v));
  const scale = most || Math.abs(edges[0].v) || 1;
  return edges.slice(0, EDGES).map((edge) => ({ ...edge, v: clamp(edge.v / scale) }));
}

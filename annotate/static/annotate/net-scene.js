// What the drawing shows: a value in [-1, 1] for each node, and the strongest edges. Its other views: net-views.js. Pure.

import { clamp, ofInput, ofOptions } from "./tinynet/colour.js";
import { D, H } from "./tinynet/net.js";

const INPUTS = 3 * D;
const EDGES = 90;

/**
 * kind, from and to name nodes: input 0 to 35, hidden 0 to 15, option 0 to 3. v: against the strongest edge.
 * @typedef {{kind: "hidden"|"option"|"pull", from: number, to: number, v: number}} Edge
 * before: the network before its last step; largest: what that step changed most.
 * @typedef {{net: object, before: object|null, pass: object, options: number[], answered: boolean, largest: number}} Given
 * @typedef {{input: number[], hidden: number[], option: number[], edges: Edge[]}} Scene
 */

/** Before the answer nothing of the options is in it. @param {Given} given @param {typeof values} view @returns {Scene} */
export function scene(given, view = values) {
  const shown = view(given, given.answered ? given.options : []);
  const white = { input: Array(INPUTS).fill(0), option: given.options.map(() => 0) };
  return { ...white, ...shown, ...(!given.answered && { option: white.option }) };
}

function values({ net, pass }, told) {
  const { x, h, q, p } = pass;
  const option = ofOptions(told.map((word) => Math.log(p[word])));
  return { input: [...x].map(ofInput), hidden: [...h], option, edges: strongest(net, told, { x, h, q }) };
}

/** The edges with the largest weight times activation; where no activation is given, by weight alone. */
export function strongest({ W1, W2, E }, told, { x, h, q }, most = 0) {
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

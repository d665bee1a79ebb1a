// What the network guesses of an item, without a step. No DOM, no fetch.

import { forward, loss } from "./net.js";
import { seen } from "./round.js";

/** The likeliest option, and p of each: among all words, and as a share of the four. */
export const guess = (net, example, options) => among(forward(net, example), options);

/** The same of a pass that was made. @param {import("./net.js").Pass} pass @param {number[]} options */
export function among({ p }, options) {
  const each = options.map((word) => p[word]);
  const sum = each.reduce((total, one) => total + one, 0);
  const best = each.indexOf(Math.max(...each));
  return { choice: options[best], p: each, shares: each.map((one) => one / sum) };
}

/** The place that surprises most for how common its word is. @param {number[]} ids @param {number[]} choices */
export function suspect(net, ids, choices, context) {
  const doubts = choices.map((place) => {
    const word = ids[place];
    return Math.log(net.u[word]) + loss(forward(net, seen(ids, place, context, "missing")), word);
  });
  return choices[doubts.indexOf(Math.max(...doubts))];
}

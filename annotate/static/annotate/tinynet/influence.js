// Which words of the context helped: p of the gold with each of them left out, exactly.

import { forward, loss } from "./net.js";

export const TELLING = 0.05; // nats from which a word is marked

/**
 * One forward pass a distinct word, so that the caller may spread them over frames. effect: how much log p of the gold
 * owes to the word; positive helped, negative misled.
 * @param {import("./net.js").Net} net @param {import("./net.js").Example} example @param {number} gold
 * @returns {Generator<{word: number, effect: number}>}
 */
export function* influences(net, example, gold) {
  const whole = loss(forward(net, example), gold);
  for (const word of new Set(example.context)) {
    const context = example.context.filter((other) => other !== word);
    yield { word, effect: loss(forward(net, { ...example, context }), gold) - whole };
  }
}

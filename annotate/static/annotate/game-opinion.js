// The second opinion: what a larger model stored about the blank that was just answered. One press changes nothing in it.

import { percent } from "./build.js";
import { fill } from "./words.js";

/** @param {HTMLElement} box its words and parts @param {import("./game-player.js").Player} player */
export async function askOpinion(box, player) {
  const part = (name) => box.querySelector(`[data-part=${name}]`);
  const { answered } = player;
  if (!answered) return;
  const told = await fetched(box.dataset.url, { item: answered.item.id, mode: player.round.mode });
  if (player.answered !== answered) return; // the next blank is asked meanwhile
  const words = box.dataset;
  const { first = "", rest = [] } = told.sentence ? { first: words[told.sentence] } : shown(told, words);
  part("opinion").hidden = told.sentence !== "tLost";
  part("opinion-said").textContent = first;
  part("opinion-rest").textContent = rest.join(" · ");
}

/** The likeliest of the four first, then the others. */
function shown({ with_context: within, without_context: without }, words) {
  const order = Object.keys(within).sort((a, b) => within[b] - within[a]);
  const said = order.map((word) => ({ word, share: percent(within[word]), alone: percent(without[word]) }));
  return { first: fill(words.tSaid, said[0]), rest: said.slice(1).map((one) => fill(words.tRest, one)) };
}

/** The stored numbers, or the name of the sentence that says why there are none. */
async function fetched(url, query) {
  try {
    const response = await fetch(`${url}?${new URLSearchParams(query)}`, { headers: { Accept: "application/json" } });
    if (!response.ok) return { sentence: "tLost" };
    const told = await response.json();
    return told.state === "scored" ? told : { sentence: { no_model: "tNone", not_scored: "tLater" }[told.state] };
  } catch {
    return { sentence: "tLost" };
  }
}

// The sentence with its blank, and the four words below it.

import { made } from "./build.js";
import { cut } from "./tinynet/round.js";
import { fill } from "./words.js";

/** @param {HTMLElement} place @param {import("./game-player.js").Player} player @param {DOMStringMap} words */
export function showSentence(place, player, words) {
  const { item, answered, round } = player;
  const { before, after } = cut(player.sentence(), item.position);
  const open = round.mode === "correction" && round.picked === null && !answered;
  if (open) return place.replaceChildren(...choosing(player, words));
  const gold = made("strong", { class: "gold" }, cut(player.sentence(), item.position).word);
  const gap = answered ? gold : made("span", { class: "blank" }, made("span", { class: "visually-hidden" }, words.tBlank));
  const wrong = round.mode === "correction" ? [made("del", {}, player.word(item.distractors[3])), " "] : [];
  return place.replaceChildren(before, ...wrong, gap, round.mode === "next" && !answered ? "" : after);
}

/** Each word that may be the wrong one as a button. */
function choosing(player, words) {
  const { item } = player;
  const { text, spans } = player.sentence();
  const nodes = [];
  let at = 0;
  spans.forEach(([start, end], place) => {
    const word = place === item.position ? player.word(item.distractors[3]) : text.slice(start, end);
    nodes.push(text.slice(at, start));
    const about = { type: "button", class: "pick", "data-place": place, "aria-label": fill(words.tPick, { word }) };
    nodes.push(item.choices.includes(place) ? made("button", about, word) : word);
    at = end;
  });
  return [...nodes, text.slice(at)];
}

/** The sentence as a name for the group of its answers. */
export function spoken(player, words) {
  const { before, after } = cut(player.sentence(), player.item.position);
  return `${before}${words.tBlank}${player.round.mode === "next" ? "" : after}`;
}

/** @param {HTMLButtonElement[]} buttons */
export function showOptions(buttons, player, words) {
  const { answered, item } = player;
  player.options().forEach((id, at) => {
    const button = buttons[at];
    const state = !answered ? "" : id === item.gold ? "right" : id === answered.choice ? "wrong" : "other";
    button.value = String(id);
    button.dataset.state = state;
    button.disabled = Boolean(answered);
    button.querySelector("[data-part=word]").textContent = player.word(id);
    const told = { right: words.tIsRight, wrong: words.tIsWrong }[state] ?? "";
    button.querySelector("[data-part=told]").textContent = told;
  });
}

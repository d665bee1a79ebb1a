// A suggestion to fix a sentence of the paragraph that was just played.

import { made } from "./build.js";
import { send } from "./csrf.js";

/** @param {HTMLFormElement} form @param {import("./game-player.js").Player} player */
export function show(form, player) {
  const { items } = player.round;
  const answered = player.facts.filter((fact) => fact && !fact.auto).map(({ item }) => items.indexOf(item));
  const options = answered.map((at) => made("option", { value: String(at) }, `${at + 1}. ${player.sentence(items[at]).text}`));
  form.elements.namedItem("item").replaceChildren(...options);
  form.querySelector("[data-part=doubt-said]").textContent = "";
}

/** @param {HTMLFormElement} form @param {import("./game-player.js").Player} player */
export async function suggest(form, player) {
  const said = form.querySelector("[data-part=doubt-said]");
  const [item, note] = ["item", "note"].map((name) => form.elements.namedItem(name)); // .item is a method
  const button = form.querySelector("button");
  button.disabled = true;
  const response = await send(player.dealt.doubts, { item: Number(item.value), note: note.value }).catch(() => null);
  button.disabled = false;
  said.textContent = response?.ok ? form.dataset.tThanks : form.dataset.tLost;
  if (response?.ok) note.value = "";
}

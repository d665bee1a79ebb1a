// Suggestions to fix sentences of the paragraph that was just played, and how one is taken back.

import { made } from "./build.js";
import { send } from "./csrf.js";

/** Notes that stand, by the place of their blank. @type {Map<string, string>} */
const standing = new Map();

const part = (form, name) => form.querySelector(`[data-part=doubt-${name}]`);
const field = (form, name) => form.elements.namedItem(name); // .item is a method

/** @param {HTMLFormElement} form @param {import("./game-player.js").Player} player */
export function show(form, player) {
  const { items } = player.round;
  const answered = player.facts.filter((fact) => fact && !fact.auto).map(({ item }) => items.indexOf(item));
  const options = answered.map((at) => made("option", { value: String(at) }, `${at + 1}. ${player.sentence(items[at]).text}`));
  field(form, "item").replaceChildren(...options);
  field(form, "item").onchange = () => chosen(form, "");
  part(form, "undo").onclick = () => takeBack(form, player);
  if (form.dataset.doubts !== player.dealt.doubts) standing.clear();
  form.dataset.doubts = player.dealt.doubts;
  chosen(form, "");
}

/** One suggestion a sentence: where one stands, it can be taken back and then made anew. */
function chosen(form, said) {
  const sent = standing.has(field(form, "item").value);
  part(form, "undo").hidden = !sent;
  part(form, "send").hidden = sent;
  part(form, "said").textContent = said;
}

/** @param {HTMLFormElement} form @param {import("./game-player.js").Player} player */
export async function suggest(form, player) {
  const [item, note] = [field(form, "item"), field(form, "note")];
  const body = { item: Number(item.value), note: note.value };
  if (!(await done(part(form, "send"), player.dealt.doubts, body))) return void (part(form, "said").textContent = form.dataset.tLost);
  standing.set(item.value, note.value);
  note.value = "";
  chosen(form, form.dataset.tThanks);
  part(form, "undo").focus();
  return undefined;
}

async function takeBack(form, player) {
  const { value } = field(form, "item");
  const address = `${player.dealt.doubts}/${value}`;
  if (!(await done(part(form, "undo"), address, {}, "DELETE"))) return void (part(form, "said").textContent = form.dataset.tNotBack);
  field(form, "note").value = standing.get(value);
  standing.delete(value);
  chosen(form, form.dataset.tBack);
  part(form, "send").focus();
  return undefined;
}

/** Whether the server did it. The button rests meanwhile. */
async function done(button, address, body, method = "POST") {
  button.disabled = true;
  const response = await send(address, body, { method }).catch(() => null);
  button.disabled = false;
  return Boolean(response?.ok);
}

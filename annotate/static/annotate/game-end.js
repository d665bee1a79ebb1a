// The end of a paragraph: what each blank showed, and the totals.

import { made, percent } from "./build.js";
import { fill } from "./words.js";

/** @param {HTMLElement} box @param {import("./game-player.js").Player} player @param {DOMStringMap} words */
export function showEnd(box, player, words) {
  const part = (name) => box.querySelector(`[data-part=${name}]`);
  const facts = player.facts.filter(Boolean);
  part("rows").replaceChildren(...facts.map((fact, at) => row(fact, at, player, words)));
  const stepped = facts.map(({ network }) => network).filter(Boolean);
  const own = facts.filter(({ auto }) => !auto);
  const mean = (name) => percent(stepped.reduce((sum, one) => sum + one[name], 0) / stepped.length);
  const right = (all) => all.filter((one) => one.right).length;
  const totals = { you: right(own), n: own.length, network: right(stepped), of: stepped.length };
  part("totals").textContent = fill(words.tTotals, totals);
  part("gap").textContent = stepped.length ? fill(words.tGap, { with: mean("share"), without: mean("alone") }) : "";
  part("replay").textContent = "";
  part("forget-words").textContent = words.tForget;
  offerFix(part("doubt"), player);
}

/** Only of answers that are kept; its script comes when it is opened. @param {HTMLDetailsElement} box */
function offerFix(box, player) {
  box.hidden = !player.dealt.doubts;
  box.open = false;
  const form = box.querySelector("form");
  box.ontoggle = async () => box.open && (await import("./game-doubt.js")).show(form, player);
  form.onsubmit = async (event) => {
    event.preventDefault();
    (await import("./game-doubt.js")).suggest(form, player);
  };
}

function row({ item, options, right, auto, network, choice, free }, at, player, words) {
  const gold = player.gold(item);
  const said = free || player.word(choice);
  const mark = (is) => (is ? words.tIsRight : words.tIsWrong);
  const cell = (text, kind = "num") => made("td", { class: kind }, text);
  const you = [auto ? words.tModel : "", said, mark(right)].filter(Boolean).join(" · ");
  const head = [cell(String(at + 1)), made("th", { scope: "row" }, gold), cell(you, "")];
  if (!network) return made("tr", {}, ...head, ...Array.from({ length: 6 }, () => cell("–")));
  const { shares, after, share, alone } = network;
  const place = options.indexOf(item.gold);
  const gap = Math.round(100 * (share - alone));
  const signed = `${["−", "", "+"][Math.sign(gap) + 1]}${Math.abs(gap)}`;
  const numbers = [...[shares[place], after[place], share, alone].map(percent), signed];
  const guess = cell(`${player.word(network.choice)} · ${mark(network.right)}`, "");
  return made("tr", {}, ...head, guess, ...numbers.map((number) => cell(number)));
}

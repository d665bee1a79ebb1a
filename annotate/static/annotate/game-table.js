// The table view: every number that the drawing shows, the weights in full, and any word's own numbers.

import { made, percent } from "./build.js";
import { ofInput, sign } from "./tinynet/colour.js";
import { D, H, parts } from "./tinynet/net.js";

const MOST = 12; // words that the filter shows at once
const number = (value, digits = 3) => value.toFixed(digits).replace("-", "−");
const cells = (values) => values.map((value) => made("td", { class: "num" }, typeof value === "number" ? number(value) : value));
const row = (head, ...values) => made("tr", {}, made("th", { scope: "row" }, head), ...cells(values));

/** @param {HTMLElement} box with the parts of the tables @param {object} given as for the drawing */
export function tables(box, given) {
  const part = (name) => box.querySelector(`[data-part=${name}]`);
  const { net, pass, options, words, answered } = given;
  const names = part("names").dataset;
  const inputs = [...pass.x].map((x, at) => row(`${[names.left, names.right, names.context][Math.floor(at / D)]} ${(at % D) + 1}`, x, "", sign(ofInput(x))));
  const hidden = [...pass.h].map((h, at) => row(`${names.hidden} ${at + 1}`, h, net.b1[at], sign(h)));
  part("names").replaceChildren(...inputs, ...hidden);
  const sum = options.reduce((total, word) => total + pass.p[word], 0);
  part("option-rows").replaceChildren(...options.map((word, at) => (answered ? told(net, pass, word, words[at], sum) : row(words[at], ...Array(6).fill("–")))));
  part("w1-head").replaceChildren(made("td", {}), ...Array.from({ length: 3 * D }, (_, at) => made("th", { scope: "col" }, `${[names.left, names.right, names.context][Math.floor(at / D)]} ${(at % D) + 1}`)));
  part("w1-rows").replaceChildren(...Array.from({ length: H }, (_, k) => row(`${names.hidden} ${k + 1}`, ...net.W1.subarray(k * 3 * D, (k + 1) * 3 * D))));
  part("word-head").replaceChildren(made("td", {}), ...["b2", ...Array.from({ length: D }, (_, at) => `E ${at + 1}`), ...Array.from({ length: H }, (_, at) => `W2 ${at + 1}`)].map((name) => made("th", { scope: "col" }, name)));
  const find = () => listed(part("word-rows"), given, part("filter").value.trim().toLowerCase());
  part("filter").oninput = find;
  find();
}

function told(net, pass, word, name, sum) {
  const { common, hidden, pull, seen } = parts(net, pass, word);
  return row(name, percent(pass.p[word] / sum), percent(pass.p[word], 2), ...[common, hidden, pull, seen].map((part) => number(part, 2)));
}

function listed(body, { net, vocabulary, options, answered }, wanted) {
  const found = wanted ? vocabulary.words.flatMap((word, id) => (word.startsWith(wanted) ? [id] : [])).slice(0, MOST) : answered ? options : [];
  body.replaceChildren(...found.map((id) => row(vocabulary.words[id], net.b2[id], ...net.E.subarray(id * D, (id + 1) * D), ...net.W2.subarray(id * H, (id + 1) * H))));
}

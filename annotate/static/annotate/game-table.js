// The table view: every number that the drawing shows, the weights in full, and any word's own numbers.

import { fixed, made, percent } from "./build.js";
import { ofInput, sign } from "./tinynet/colour.js";
import { D, H } from "./tinynet/net.js";
import { parts } from "./tinynet/step.js";

const INPUTS = 3 * D;
const MOST = 12; // words that the filter shows at once

const cell = (value) => made("td", { class: "num" }, typeof value === "number" ? fixed(value, 3) : value);
const row = (head, ...values) => made("tr", {}, made("th", { scope: "row" }, head), ...values.map(cell));
const heads = (names) => [made("td"), ...names.map((name) => made("th", { scope: "col" }, name))];
const numbered = (name, count) => Array.from({ length: count }, (_, at) => `${name} ${at + 1}`);

/** @param {HTMLElement} box with the parts of the tables @param {object} given as for the drawing */
export function tables(box, given) {
  const part = (name) => box.querySelector(`[data-part=${name}]`);
  const { net, pass } = given;
  const { left, right, context, hidden } = part("names").dataset;
  const inputs = [left, right, context].flatMap((name) => numbered(name, D));
  const nodes = numbered(hidden, H);
  part("names").replaceChildren(
    ...inputs.map((name, at) => row(name, pass.x[at], "", sign(ofInput(pass.x[at])))),
    ...nodes.map((name, at) => row(name, pass.h[at], net.b1[at], sign(pass.h[at]))),
  );
  part("option-rows").replaceChildren(...given.options.map((word, at) => option(given, word, given.words[at])));
  part("w1-head").replaceChildren(...heads(inputs));
  part("w1-rows").replaceChildren(...nodes.map((name, k) => row(name, ...net.W1.subarray(k * INPUTS, (k + 1) * INPUTS))));
  part("word-head").replaceChildren(...heads(["b2", ...numbered("E", D), ...numbered("W2", H)]));
  const find = () => part("word-rows").replaceChildren(...listed(given, part("filter").value.trim().toLowerCase()));
  part("filter").oninput = find;
  find();
}

/** Dashes before the answer. */
function option({ net, pass, options, answered }, word, name) {
  if (!answered) return row(name, ...Array(6).fill("–"));
  const sum = options.reduce((total, one) => total + pass.p[one], 0);
  const { common, hidden, pull, seen } = parts(net, pass, word);
  return row(name, percent(pass.p[word] / sum), percent(pass.p[word]), ...[common, hidden, pull, seen].map((one) => fixed(one, 2)));
}

function listed({ net, vocabulary, options, answered }, wanted) {
  const begins = (word, id) => (word.startsWith(wanted) ? [id] : []);
  const found = wanted ? vocabulary.words.flatMap(begins).slice(0, MOST) : answered ? options : [];
  const of = (matrix, wide, id) => matrix.subarray(id * wide, (id + 1) * wide);
  return found.map((id) => row(vocabulary.words[id], net.b2[id], ...of(net.E, D, id), ...of(net.W2, H, id)));
}

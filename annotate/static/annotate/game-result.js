// What an answer showed: who was right, why this word, what the step moved.

import { counted, drawn, fixed, made, percent } from "./build.js";
import { plain } from "./tinynet/round.js";
import { fill } from "./words.js";

const REASONS = ["common", "hidden", "pull", "seen"];

/** @param {HTMLElement} box with the parts of the result @param {import("./game-player.js").Fact} fact */
export function showResult(box, fact, player, words) {
  const part = (name) => box.querySelector(`[data-part=${name}]`);
  const gold = player.gold(fact.item);
  const { network } = fact;
  box.hidden = false;
  opinion(part, player.round.mode);
  const said = fact.free || (fact.choice === null ? "" : player.word(fact.choice));
  const you = fact.right ? words.tYouRight : missed(fact) ? words.tYouMissed : words.tYouWrong;
  part("you").textContent = fill(you, { word: said, gold });
  part("you").dataset.right = String(fact.right);
  part("unknown").hidden = !fact.free || (player.vocabulary?.words.includes(plain(fact.free)) ?? true);
  for (const name of ["network", "odds", "step", "why"]) part(name).hidden = !network;
  if (!network) return;
  const odds = { gold, share: percent(network.share), alone: percent(network.alone), word: player.word(network.choice) };
  const guessed = network.found === fact.item.position ? words.tNetworkWrong : words.tNetworkMissed;
  part("network").textContent = fill(network.right ? words.tNetworkRight : guessed, odds);
  part("network").dataset.right = String(network.right);
  const among = { n: counted(player.vocabulary.words.length), p: percent(network.with), alone: percent(network.without) };
  part("odds").textContent = fill(words.tOdds, { gold, ...among });
  part("step").textContent = fill(words.tStep, moved(fact));
  reasons(part("reasons"), fact, player);
}

/** Nothing said yet. Larger models were not asked about corrections. */
function opinion(part, mode) {
  if (!part("opinion-box")) return;
  part("opinion-box").hidden = mode === "correction";
  part("opinion").hidden = false;
  for (const name of ["opinion-said", "opinion-rest"]) part(name).replaceChildren();
}

/** In correction: the word chosen was right, its place was not. */
const missed = (fact) => fact.picked !== null && fact.picked !== fact.item.position;

function moved({ network, item, options }) {
  const at = options.indexOf(item.gold);
  const [before, after] = network.loss.map((loss) => loss.toFixed(1));
  const { moved: count, size, norm } = network.change;
  const shares = { share: percent(network.shares[at]), later: percent(network.after[at]) };
  return { before, after, ...shares, n: counted(count), size: counted(size), norm: norm.toFixed(1) };
}

/** One sentence for those who listen. */
export function spokenResult(fact, player, words) {
  const { network } = fact;
  const you = fill(fact.right ? words.tSaidRight : words.tSaidWrong, { gold: player.gold(fact.item) });
  if (!network) return you;
  const numbers = { share: percent(network.share), alone: percent(network.alone), ...moved(fact) };
  return `${you} ${fill(network.right ? words.tSaidNetworkRight : words.tSaidNetworkWrong, { ...numbers, share: percent(network.share) })}`;
}

/** A row an option: its four parts against the mean of the four, as a bar and as numbers. */
function reasons(body, { network, options, item }, player) {
  const means = REASONS.map((name) => network.reasons.reduce((sum, one) => sum + one[name] / 4, 0));
  const rows = network.reasons.map((one) => REASONS.map((name, nth) => one[name] - means[nth]));
  const side = (signed) => Math.max(...rows.map((row) => row.reduce((sum, one) => sum + Math.max(0, signed * one), 0)));
  const [low, high] = [side(-1), side(1)];
  const scale = 100 / (low + high || 1);
  body.replaceChildren(...rows.map((row, at) => {
    const bar = drawn("svg", { class: "reason-bar", "aria-hidden": "true" });
    const ends = [low * scale, low * scale];
    row.forEach((value, nth) => {
      const width = Math.abs(value) * scale;
      if (value < 0) ends[0] -= width;
      const x = `${value < 0 ? ends[0] : ends[1]}%`;
      bar.append(drawn("rect", { x, width: `${width}%`, y: 0, height: 10, class: REASONS[nth] }));
      if (value > 0) ends[1] += width;
    });
    bar.append(drawn("line", { x1: `${low * scale}%`, x2: `${low * scale}%`, y1: 0, y2: 10, class: "zero" }));
    const word = made("th", { scope: "row", ...(options[at] === item.gold && { class: "gold" }) }, player.word(options[at]));
    const numbers = row.map((value) => made("td", { class: "num" }, fixed(value, 1)));
    return made("tr", {}, word, made("td", { class: "drawn" }, bar), ...numbers);
  }));
}

// What models expect next, as numbers for a table. Pure: no DOM, no words. `rlhf/beliefs.py` computes the same.

/**
 * @typedef {{label: string, step: number|null, entropy: number|null, other: number|null, next: [string, number][]}} Column
 * next: the stored tokens with their probabilities, the likeliest first; other: the mass of all the rest.
 */

const TOP = 10;

/**
 * At temperature 1 the stored probabilities; else p^(1/T), shared out among the stored tokens alone.
 * @param {[string, number][]} top @param {number} temperature
 */
export function reweighted(top, temperature) {
  if (temperature === 1) return top.map(([, p]) => p);
  const logs = top.map(([, p]) => Math.log(Math.max(p, 1e-300)) / temperature);
  const most = Math.max(...logs);
  const masses = logs.map((one) => Math.exp(one - most));
  const sum = masses.reduce((all, one) => all + one, 0);
  return masses.map((mass) => mass / sum);
}

/**
 * The union of each column's likeliest tokens, the greatest first, and by column what has no row.
 * @param {Column[]} columns @param {number} temperature
 */
export function tableOf(columns, temperature) {
  const masses = columns.map(({ next }) => {
    const found = new Map();
    const shares = reweighted(next, temperature);
    next.forEach(([text], at) => found.set(text, (found.get(text) ?? 0) + shares[at]));
    return found;
  });
  const union = new Set(columns.flatMap(({ next }) => next.slice(0, TOP).map(([text]) => text)));
  const rows = [...union].sort(byCode).map((text) => ({ text, cells: masses.map((one) => one.get(text) ?? null) }));
  const sum = ({ cells }) => cells.reduce((all, one) => all + (one ?? 0), 0);
  rows.sort((a, b) => sum(b) - sum(a));
  const others = columns.map(({ other }, at) => (other === null || temperature !== 1 ? null : other + rest(masses[at], union)));
  return { rows, others };
}

/** 0.123 as 12.3 %. @param {number|null} p */
export function percent(p) {
  if (p === null) return "–";
  return p > 0 && p < 0.0005 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`;
}

/** As Python sorts text: by code points. */
function byCode(a, b) {
  const [left, right] = [[...a], [...b]].map((letters) => letters.map((letter) => letter.codePointAt(0)));
  const at = left.findIndex((code, place) => code !== right[place]);
  return at < 0 ? left.length - right.length : left[at] - (right[at] ?? -1);
}

function rest(masses, union) {
  let left = 0;
  for (const [text, p] of masses) if (!union.has(text)) left += p;
  return left;
}

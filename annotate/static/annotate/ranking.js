// A ranking as a value, and what a step makes of it. Nothing here knows a page.

/**
 * groups: letters, best first; letters of one group are tied. line: how many groups are acceptable, null where not said.
 * tie: the next letter joins the last group. typed: the letter placed last by hand. auto: the one that placed itself.
 * @typedef {{groups: string[][], line: number|null, tie: boolean, typed: string|null, auto: string|null}} Ranking
 */

/** @type {Ranking} */
export const EMPTY = { groups: [], line: null, tie: false, typed: null, auto: null };

/** @param {Ranking} ranking */
export const placed = (ranking) => ranking.groups.flat();

/** @param {Ranking} ranking @param {string} letter */
export const groupOf = (ranking, letter) => ranking.groups.findIndex((group) => group.includes(letter));

/** The letter in a new last group, or in the last one where a tie is armed. @returns {Ranking} */
export function place(ranking, letter) {
  if (placed(ranking).includes(letter)) return ranking;
  const groups = ranking.groups.map((group) => [...group]);
  if (ranking.tie && groups.length) groups.at(-1).push(letter);
  else groups.push([letter]);
  return { ...ranking, groups, tie: false, typed: letter, auto: null };
}

/** The one letter that is left goes last by itself; the same ranking where none or several are. @returns {Ranking} */
export function settle(ranking, letters) {
  const left = letters.filter((letter) => !placed(ranking).includes(letter));
  if (left.length !== 1 || letters.length < 2 || ranking.tie) return ranking;
  return { ...ranking, groups: [...ranking.groups, left], auto: left[0] };
}

/** Arms or disarms a tie; a letter that placed itself joins the group above instead. @returns {Ranking} */
export function arm(ranking) {
  if (ranking.auto) return join(ranking, ranking.auto);
  return { ...ranking, tie: !ranking.tie && ranking.groups.length > 0 };
}

/** The letter's group joined with the one above; the first one with the one below. @returns {Ranking} */
export function join(ranking, letter) {
  const index = Math.max(1, groupOf(ranking, letter));
  if (index >= ranking.groups.length) return ranking;
  const groups = ranking.groups.map((group) => [...group]);
  groups[index - 1].push(...groups.splice(index, 1)[0]);
  return { ...ranking, groups, line: lowered(ranking.line, index), auto: null };
}

/** The letter without a place. @returns {Ranking} */
export function remove(ranking, letter) {
  const index = groupOf(ranking, letter);
  if (index < 0) return ranking;
  const alone = ranking.groups[index].length === 1;
  const groups = ranking.groups.map((group) => group.filter((one) => one !== letter)).filter((group) => group.length);
  const line = alone ? lowered(ranking.line, index) : ranking.line;
  return { ...ranking, groups, line, auto: null, tie: ranking.tie && groups.length > 0 };
}

/** The letter a place up (-1) or down (1): out of its tie first, then past its neighbour. @returns {Ranking} */
export function shift(ranking, letter, by) {
  const index = groupOf(ranking, letter);
  const tied = ranking.groups[index].length > 1;
  const groups = ranking.groups.map((group) => group.filter((one) => one !== letter));
  if (tied) groups.splice(by < 0 ? index : index + 1, 0, [letter]);
  else {
    groups.splice(index, 1);
    groups.splice(Math.max(0, Math.min(groups.length, index + by)), 0, [letter]);
  }
  return { ...ranking, groups, auto: null };
}

/** The letter beside another, or tied with it; last where there is none. @returns {Ranking} */
export function drop(ranking, letter, near, how) {
  if (letter === near) return ranking;
  const bare = remove(ranking, letter);
  const index = groupOf(bare, near);
  const groups = bare.groups.map((group) => [...group]);
  const at = index < 0 ? groups.length : index + (how === "after" ? 1 : 0);
  const tie = how === "tie" && index >= 0;
  if (tie) groups[index].push(letter);
  else groups.splice(at, 0, [letter]);
  const line = bare.line !== null && !tie && at < bare.line ? bare.line + 1 : bare.line;
  return { ...bare, groups, line, tie: false, typed: letter };
}

/** The line under the letter typed last; again a group further down, from the bottom to the top. @returns {Ranking} */
export function draw(ranking) {
  if (!ranking.groups.length) return ranking;
  if (ranking.line !== null) return { ...ranking, line: (ranking.line + 1) % (ranking.groups.length + 1) };
  const index = groupOf(ranking, ranking.typed);
  return { ...ranking, line: index < 0 ? ranking.groups.length : index + 1 };
}

/** None is acceptable. @returns {Ranking} */
export const none = (ranking) => ({ ...ranking, line: 0 });

const lowered = (line, index) => (line !== null && line > index ? line - 1 : line);

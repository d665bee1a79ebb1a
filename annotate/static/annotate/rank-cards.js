// The cards of a ranking: each shows its place, its button and its text, folded where it is long.

import { Fold } from "./folds.js";
import { groupOf } from "./ranking.js";
import { fill } from "./words.js";

export class Cards {
  /**
   * @param {HTMLElement} root a rank-list, with its words in data-t-*
   * @param {(letter: string) => void} tapped
   */
  constructor(root, tapped) {
    this.words = root.dataset;
    this.all = new Map([...root.querySelectorAll("[data-part=card]")].map((card) => [card.dataset.letter, card]));
    for (const [letter, card] of this.all) {
      this.button(letter).hidden = false;
      this.button(letter).addEventListener("click", () => tapped(letter));
    }
    this.folds = new Map([...this.all].map(([letter, card]) => [letter, new Fold(card)]));
  }

  /** @returns {string[]} */
  get letters() {
    return [...this.all.keys()];
  }

  /** Letters of cards that were never opened. */
  get unread() {
    return this.letters.filter((letter) => this.folds.get(letter).unread);
  }

  button(letter) {
    return this.all.get(letter).querySelector("[data-part=press]");
  }

  /** @param {import("./ranking.js").Ranking} ranking */
  show(ranking) {
    const ordinals = this.words.ordinals.split(" ");
    const next = ordinals[ranking.groups.length - (ranking.tie ? 1 : 0)];
    for (const [letter, card] of this.all) {
      const index = groupOf(ranking, letter);
      const last = ranking.auto === letter ? `, ${this.words.tLast}` : "";
      card.classList.toggle("placed", index >= 0);
      card.querySelector("[data-part=place]").hidden = index < 0;
      card.querySelector("[data-part=place-words]").textContent = index < 0 ? "" : ordinals[index] + last;
      const words = index >= 0 ? this.words.tBack : ranking.tie ? this.words.tTieWith : this.words.tPlace;
      this.button(letter).textContent = fill(words, { letter, place: next });
    }
  }

  /** Opens all texts; where all are open, folds the long ones again. */
  toggleAll() {
    const all = [...this.folds.values()];
    const open = all.some((fold) => fold.folded);
    all.forEach((fold) => (open ? fold.open() : fold.close()));
  }
}

/**
 * What a ranking still lacks when somebody sends it.
 * @param {{letters: string[], partial: boolean, line: boolean, rows: HTMLElement[], required: string[], unread: string[]}} about
 * letters: without a place. partial: whether they may stay so. line: whether it is still to be said where
 * acceptable ends. rows: likert-rows. unread: folded and never opened.
 * @returns {{words: string, letters: string[], row?: HTMLElement}|null} words: the data-t-* that says it
 */
export function lacking({ letters, partial, line, rows, required, unread }) {
  if (letters.length && !partial) return { words: "tMissing", letters };
  if (line) return { words: "tLine", letters: [] };
  const row = rows.find((one) => required.includes(one.dataset.axis) && one.value === null);
  row?.classList.add("missing");
  if (row) return { words: "tRate", letters: [], row };
  return unread.length ? { words: "tUnopened", letters: unread } : null;
}

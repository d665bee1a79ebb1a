// Two answers word by word, in a dialog that V opens. What tells the words apart is fetched when it first opens.

import { fill } from "./words.js";

export class Compare {
  /**
   * @param {HTMLElement} box the popover
   * @param {Map<string, HTMLElement>} cards by letter
   * @param {() => string[]} pair the two letters to begin with
   */
  constructor(box, cards, pair) {
    Object.assign(this, { box, cards, pair });
    this.sides = [...box.querySelectorAll("select")];
    this.diff = box.querySelector("word-diff");
    box.addEventListener("beforetoggle", (event) => event.newState === "open" && this.begin());
    box.addEventListener("change", () => this.show());
  }

  begin() {
    this.pair().forEach((letter, index) => (this.sides[index].value = letter));
    this.show();
  }

  async show() {
    await import("./word-diff.js");
    const [one, other] = this.sides.map((side) => side.value);
    const only = (letter) => fill(this.box.dataset.tOnly, { letter });
    Object.assign(this.diff.dataset, { tRemoved: only(one), tAdded: only(other) });
    this.diff.show(this.text(one), this.text(other));
  }

  text(letter) {
    return this.cards.get(letter).querySelector("[data-part=text]").innerText.trim();
  }
}

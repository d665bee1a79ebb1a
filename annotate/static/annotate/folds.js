// Long texts of a task's screen: the prompt folds to two lines, each answer to the height of its class "folded".

import { foldText } from "./fold.js";

/** The prompt above the answers, with its button. @param {HTMLElement} root */
export function foldPrompt(root) {
  const turns = root.querySelector("[data-part=turns]");
  const button = root.querySelector("[data-part=open-prompt]");
  button.hidden = !foldText(turns);
  button.addEventListener("click", () => {
    button.setAttribute("aria-expanded", String(!turns.classList.toggle("folded")));
  });
}

/** A card's [data-part=text] and the [data-part=open] that opens it. */
export class Fold {
  /** @param {HTMLElement} card */
  constructor(card) {
    this.text = card.querySelector("[data-part=text]");
    this.button = card.querySelector("[data-part=open]");
    this.button.addEventListener("click", () => this.open());
    this.measured = false;
    this.measure();
  }

  /** Folds the text once it has a size: a card that no one sees yet has none. */
  measure() {
    if (this.measured || !this.text.checkVisibility()) return;
    this.measured = true;
    this.button.hidden = !foldText(this.text);
  }

  get folded() {
    return this.text.classList.contains("folded");
  }

  open() {
    this.text.classList.remove("folded");
    this.button.hidden = true;
  }
}

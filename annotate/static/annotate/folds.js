// Long texts of a task's screen: the newest turn of the prompt folds to two lines where the prompt stays in view, those
// before it altogether, each answer to the height of its class "folded".

/** The prompt above the answers; its button opens all turns, and folds them again. @param {HTMLElement} root */
export function foldPrompt(root) {
  const names = ["turns", "newest", "earlier", "open-prompt"];
  const [turns, newest, earlier, button] = names.map((name) => root.querySelector(`[data-part=${name}]`));
  const long = foldText(newest);
  button.hidden = !long && !earlier;
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    newest.classList.toggle("folded", long && !open);
    if (earlier) earlier.open = open;
    turns.scrollTop = turns.scrollHeight; // the newest stays in view
  });
}

/** A card's [data-part=text] and the [data-part=open] that opens it. */
export class Fold {
  /** @param {HTMLElement} card */
  constructor(card) {
    this.text = card.querySelector("[data-part=text]");
    this.button = card.querySelector("[data-part=open]");
    this.button.addEventListener("click", () => this.open());
    this.measured = this.long = this.seen = false;
    this.measure();
  }

  /** Folds the text once it has a size: a card that no one sees yet has none. */
  measure() {
    if (this.measured || !this.text.checkVisibility()) return;
    this.measured = true;
    this.long = foldText(this.text);
    this.button.hidden = !this.long;
  }

  get folded() {
    return this.text.classList.contains("folded");
  }

  /** Whether nobody has opened it yet. */
  get unread() {
    return this.folded && !this.seen;
  }

  open() {
    this.seen = true;
    this.text.classList.remove("folded");
    this.button.hidden = true;
  }

  close() {
    if (!this.long) return;
    this.text.classList.add("folded");
    this.button.hidden = false;
  }
}

/** Folds the text where it is longer than that. @param {HTMLElement} text @returns {boolean} whether it was */
function foldText(text) {
  text.classList.add("folded");
  const long = text.scrollHeight > text.clientHeight + 4;
  text.classList.toggle("folded", long);
  return long;
}

// <pair-choice>: around two answers. The choice is one group of radios, which works without this; here are the tabs of a
// phone, the folds, what is held back, and the choice that sends itself where its person wants that.

import { Fold, foldPrompt } from "./folds.js";
import { Compare } from "./rank-compare.js";
import { fill } from "./words.js";

const ABREAST = "(min-width: 768px)";

class Both extends Compare {
  /** What lies behind a tab has no lines: it is shown for as long as it is read, which nobody sees. */
  text(letter) {
    const { classList } = this.cards.get(letter);
    const open = classList.contains("open");
    classList.add("open");
    const text = super.text(letter);
    classList.toggle("open", open);
    return text;
  }
}

class PairChoice extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    this.cards = new Map([...this.querySelectorAll("[data-part=card]")].map((card) => [card.dataset.letter, card]));
    this.folds = new Map([...this.cards].map(([letter, card]) => [letter, new Fold(card)]));
    this.letters = [...this.cards.keys()];
    this.seen = new Set();
    this.abreast = matchMedia(ABREAST);
    this.arrow = false;
    this.listen();
    foldPrompt(this);
    new Both(this.part("compare"), this.cards, () => this.letters);
    this.part("compared").hidden = false;
    this.open(this.letters[0]);
    this.draw();
  }

  disconnectedCallback() {
    document.removeEventListener("key", this.key);
    this.abreast.removeEventListener("change", this.turned);
    for (const [name, heard] of Object.entries(this.heard)) this.form?.removeEventListener(name, heard);
  }

  listen() {
    this.key = (event) => this.pressed(event.detail.name);
    this.turned = () => this.look();
    this.heard = {
      click: (event) => event.target.name === "choice" && this.vote(event),
      keydown: (event) => (this.arrow = event.target.name === "choice" && event.key.startsWith("Arrow")),
      change: (event) => this.changed(event),
      submit: (event) => this.check(event),
      restored: () => this.draw(),
    };
    document.addEventListener("key", this.key);
    this.abreast.addEventListener("change", this.turned);
    for (const [name, heard] of Object.entries(this.heard)) this.form.addEventListener(name, heard);
    this.part("clear").addEventListener("click", () => this.clear());
    for (const tab of this.tabs) {
      tab.addEventListener("click", (event) => {
        event.preventDefault();
        this.open(tab.dataset.letter);
      });
    }
    this.classList.add("tabbed");
  }

  /** What the screen shows no button for: a letter whose card is behind the other one. */
  pressed(name) {
    if (name === "O") this.folds.forEach((fold) => fold.open());
    this.cards.get(name)?.querySelector("[name=choice]").click();
  }

  part(name) {
    return this.form.querySelector(`[data-part=${name}]`);
  }

  get tabs() {
    return [...this.part("tabs").querySelectorAll("a")];
  }

  get chosen() {
    return this.form.querySelector("[name=choice]:checked");
  }

  get unseen() {
    return this.letters.filter((letter) => !this.seen.has(letter));
  }

  /** Shows one answer where only one has room. */
  open(letter) {
    this.letter = letter;
    for (const [one, card] of this.cards) card.classList.toggle("open", one === letter);
    this.look();
  }

  /** Notes which answers are in sight now. */
  look() {
    for (const letter of this.abreast.matches ? this.letters : [this.letter]) {
      this.seen.add(letter);
      this.folds.get(letter).measure();
    }
    for (const tab of this.tabs) {
      if (tab.dataset.letter === this.letter) tab.setAttribute("aria-current", "true");
      else tab.removeAttribute("aria-current");
      tab.querySelector("[data-part=seen]").hidden = !this.seen.has(tab.dataset.letter);
    }
  }

  /** No vote about an answer that was not opened: the radio goes back to what it was. */
  vote(event) {
    if (!this.unseen.length) return;
    event.preventDefault();
    this.say(this.dataset.tUnseen, this.unseen);
  }

  changed({ target }) {
    if (target.name !== "choice" && target.name !== "both") return;
    this.draw();
    const moving = this.arrow; // to look at a neighbour is not to choose it
    this.arrow = false;
    if (target.name === "both" || !target.checked || moving) return;
    target.focus({ preventScroll: true });
    if (this.dataset.sends !== undefined) this.form.requestSubmit(this.part("send"));
  }

  clear() {
    const { chosen } = this;
    if (!chosen) return;
    chosen.checked = false;
    chosen.dispatchEvent(new Event("change", { bubbles: true }));
    this.part("scale").querySelector("input").focus();
  }

  /** Holds back what says nothing, or was not read. */
  check(event) {
    const said = this.chosen || this.form.elements.both.checked;
    const unread = this.warned ? [] : this.letters.filter((letter) => this.folds.get(letter).folded);
    if (this.unseen.length) this.say(this.dataset.tUnseen, this.unseen);
    else if (!said) this.say(this.dataset.tMissing);
    else if (unread.length) this.say(this.dataset.tUnopened, unread);
    else return;
    this.warned = !this.unseen.length && Boolean(said);
    event.preventDefault();
  }

  say(words, letters = []) {
    this.part("missing").textContent = fill(words, { letters: letters.join(", ") });
  }

  draw() {
    const { chosen } = this;
    this.part("clear").hidden = !chosen;
    this.part("missing").textContent = "";
    for (const [letter, card] of this.cards) {
      const here = Boolean(chosen?.dataset.side.includes(letter));
      card.classList.toggle("placed", here);
      card.querySelector("[data-part=place]").hidden = !here;
      card.querySelector("[data-part=place-words]").textContent = here ? chosen.dataset.words : "";
    }
  }
}

customElements.define("pair-choice", PairChoice);

// <rank-list>: puts answers in order by letters, taps or chips. The form's selects hold the ranking; this keeps them.

import "./likert-row.js";
import "./rank-strip.js";
import { foldText } from "./fold.js";
import { Beside } from "./rank-beside.js";
import { Cards } from "./rank-cards.js";
import { arm, draw, EMPTY, groupOf, join, none, place, placed, remove, settle, shift } from "./ranking.js";
import { fill } from "./words.js";

const ACTS = {
  arm,
  line: draw,
  up: (ranking, letter) => shift(ranking, letter, -1),
  down: (ranking, letter) => shift(ranking, letter, 1),
  tie: join,
};

class RankList extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    this.cards = new Cards(this, (letter) => this.tap(letter));
    this.letters = this.cards.letters;
    this.beside = new Beside(this.cards.all, () => this.current);
    this.rows = [...this.querySelectorAll("likert-row")];
    this.ordinals = this.dataset.ordinals.split(" ");
    this.steps = [];
    this.key = (event) => this.pressed(event.detail.name);
    this.sent = (event) => this.check(event);
    this.restored = () => this.read();
    document.addEventListener("key", this.key);
    this.form.addEventListener("submit", this.sent);
    this.form.addEventListener("restored", this.restored);
    this.read();
    this.reveal();
    this.cards.fold();
    this.part("open-prompt").hidden = !foldText(this.part("turns"));
    if (matchMedia("(pointer: fine)").matches) this.open()?.reach({ preventScroll: true });
  }

  disconnectedCallback() {
    document.removeEventListener("key", this.key);
    this.form?.removeEventListener("submit", this.sent);
    this.form?.removeEventListener("restored", this.restored);
  }

  part(name) {
    return this.form.querySelector(`[data-part=${name}]`);
  }

  /** Shows what needs this script, hides what stands in for it. */
  reveal() {
    this.form.querySelectorAll("[data-part=plain]").forEach((plain) => (plain.hidden = true));
    this.part("strip").reveal(this.part("sheet"));
    this.part("strip").addEventListener("rank-act", (event) => this.act(event.detail));
    this.part("open-prompt").addEventListener("click", () => this.togglePrompt());
  }

  /** The ranking that the selects hold. */
  read() {
    const given = this.letters.map((letter) => [letter, Number(this.form.elements[`place-${letter}`].value)]);
    const used = [...new Set(given.map(([, at]) => at).filter(Boolean))].sort((a, b) => a - b);
    const groups = used.map((at) => given.filter(([, one]) => one === at).map(([letter]) => letter));
    const down = this.form.elements.acceptable.value;
    const line = down === "" ? null : used.filter((at) => at <= Number(down)).length;
    this.ranking = { ...EMPTY, groups, line, typed: groups.flat().at(-1) ?? null };
    this.current = null;
    this.draw();
  }

  write() {
    for (const letter of this.letters) {
      const index = groupOf(this.ranking, letter);
      this.form.elements[`place-${letter}`].value = index < 0 ? "" : String(index + 1);
    }
    this.form.elements.acceptable.value = this.ranking.line === null ? "" : String(this.ranking.line);
    this.form.dispatchEvent(new Event("change", { bubbles: true }));
    this.part("missing").textContent = "";
    this.draw();
  }

  step(change) {
    const after = change(this.ranking);
    if (after === this.ranking) return;
    this.steps.push(this.ranking);
    this.ranking = after;
    this.write();
  }

  back() {
    if (!this.steps.length) return;
    this.ranking = this.steps.pop();
    this.current = this.ranking.typed;
    this.write();
  }

  /** What a chip or a tool of the strip asks for. @param {{name: string, letter?: string}} wanted */
  act({ name, letter }) {
    if (name === "back") this.back();
    else if (name === "remove") this.drop(letter);
    else if (name === "reach") this.reach(letter);
    else this.step((ranking) => ACTS[name](ranking, letter));
  }

  put(letter) {
    if (groupOf(this.ranking, letter) >= 0) return this.reach(letter);
    this.current = letter;
    this.step((ranking) => place(ranking, letter));
    this.step((ranking) => settle(ranking, this.letters));
    this.say(letter);
    return this.reach(letter);
  }

  drop(letter) {
    this.current = null;
    this.step((ranking) => remove(ranking, letter));
    this.part("said").textContent = fill(this.dataset.tRemoved, { letter });
  }

  tap(letter) {
    (groupOf(this.ranking, letter) < 0 ? this.put : this.drop).call(this, letter);
    this.cards.button(letter).focus();
  }

  pressed(name) {
    const focused = document.activeElement;
    if (focused?.closest("flag-set") && /^[0-9JK]$/.test(name)) return; // they belong to the flag
    const row = focused?.closest("likert-row");
    const acts = { "=": arm, L: draw };
    if (this.letters.includes(name)) this.put(name);
    else if (name in acts) this.step(acts[name]);
    else if (name === "0" && row?.value) row.clear();
    else if (name === "0") this.step(none);
    else if (name === "Backspace") this.back();
    else if (name === "R") this.open(row)?.reach();
    else if (name === "O") this.cards.unfoldAll();
    else if (/^[1-9]$/.test(name)) this.rate(row ?? this.open(), name);
    else this.beside.pressed(name);
  }

  /** The next row without a value after this one, from the top again. */
  open(row = null) {
    return [...this.rows.slice(this.rows.indexOf(row) + 1), ...this.rows].find((one) => one.value === null);
  }

  rate(row, digit) {
    if (!row?.choose(digit)) return undefined;
    const next = this.rows[this.rows.indexOf(row) + 1];
    return next ? next.reach() : this.reach(this.current ?? this.letters[0]);
  }

  /** Holds back what lacks a place, a required rating or a look. */
  check(event) {
    const left = this.letters.filter((letter) => groupOf(this.ranking, letter) < 0);
    const required = this.dataset.required.split(" ").filter(Boolean);
    const unrated = this.rows.find((row) => required.includes(row.dataset.axis) && row.value === null);
    const unread = this.warned ? [] : this.cards.folded;
    if (!left.length && !unrated && !unread.length) return;
    event.preventDefault();
    const words = left.length ? this.dataset.tMissing : unrated ? this.dataset.tRate : this.dataset.tUnopened;
    this.part("missing").textContent = fill(words, { letters: (left.length ? left : unread).join(", ") });
    if (!left.length && unrated) {
      unrated.classList.add("missing");
      unrated.reach();
    } else {
      this.warned = !left.length;
      this.part("missing").scrollIntoView({ block: "center" });
    }
  }

  togglePrompt() {
    const folded = this.part("turns").classList.toggle("folded");
    this.part("open-prompt").setAttribute("aria-expanded", String(!folded));
  }

  reach(letter) {
    this.current = groupOf(this.ranking, letter) < 0 ? null : letter;
    this.part("strip").show(this.ranking, { current: this.current, letters: this.letters });
    this.part("strip").reach(letter);
  }

  say(letter) {
    const index = groupOf(this.ranking, letter);
    const others = this.ranking.groups[index].filter((one) => one !== letter).join(", ");
    const words = others ? this.dataset.tTied : this.dataset.tSaid;
    this.part("said").textContent = fill(words, { letter, place: this.ordinals[index], others });
  }

  draw() {
    const { ranking } = this;
    const count = { n: placed(ranking).length, k: this.letters.length };
    this.cards.show(ranking);
    this.part("count").textContent = fill(this.dataset.tPlaced, count);
    this.part("short").textContent = fill(this.dataset.tShort, count);
    this.part("strip").show(ranking, { current: this.current, letters: this.letters });
  }
}

customElements.define("rank-list", RankList);

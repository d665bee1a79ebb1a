// <rank-list>: puts answers in order by letters, taps or chips. The form's selects hold the ranking; this keeps them.

import "./likert-row.js";
import "./rank-strip.js";
import { foldPrompt } from "./folds.js";
import { Beside } from "./rank-beside.js";
import { Cards, lacking } from "./rank-cards.js";
import { Compare } from "./rank-compare.js";
import { Drag } from "./rank-drag.js";
import { arm, draw, drop, EMPTY, groupOf, join, none, place, placed, remove, settle, shift } from "./ranking.js";
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
    this.partial = "partial" in this.dataset;
    this.steps = [];
    this.gone = new AbortController();
    const heard = { signal: this.gone.signal };
    document.addEventListener("key", (event) => this.pressed(event.detail.name), heard);
    this.form.addEventListener("submit", (event) => this.check(event), heard);
    this.form.addEventListener("restored", () => this.read(), heard);
    this.read();
    this.reveal();
    foldPrompt(this);
    if (matchMedia("(pointer: fine)").matches) this.open()?.reach({ preventScroll: true });
  }

  disconnectedCallback() {
    this.gone.abort();
  }

  part(name) {
    return this.form.querySelector(`[data-part=${name}]`);
  }

  /** Shows what needs this script, hides what stands in for it. */
  reveal() {
    this.form.querySelectorAll("[data-part=plain]").forEach((plain) => (plain.hidden = true));
    this.part("strip").reveal(this.part("sheet"));
    new Drag(this.form, this.part("strip"), (letter, near, how) => {
      this.put(letter, (ranking) => drop(ranking, letter, near, how));
    });
    new Compare(this.part("compare"), this.cards.all, () => this.beside.pair(this.ranking));
    this.part("strip").addEventListener("rank-act", (event) => this.act(event.detail));
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

  /** Places a letter next, or by the change given; the last one left follows, unless the queue takes some alone. */
  put(letter, change = null) {
    if (!change && groupOf(this.ranking, letter) >= 0) return this.reach(letter);
    this.current = letter;
    this.step(change ?? ((ranking) => place(ranking, letter)));
    if (!this.partial) this.step((ranking) => settle(ranking, this.letters));
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
    else if (name === "O") this.cards.toggleAll();
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
    const lack = lacking({
      letters: this.letters.filter((letter) => groupOf(this.ranking, letter) < 0),
      partial: this.partial && placed(this.ranking).length > 0,
      line: "lineRequired" in this.dataset && this.ranking.line === null,
      rows: this.rows,
      required: this.dataset.required.split(" "),
      unread: this.warned ? [] : this.cards.unread,
    });
    if (!lack) return;
    event.preventDefault();
    this.part("missing").textContent = fill(this.dataset[lack.words], { letters: lack.letters.join(", ") });
    this.warned ||= lack.words === "tUnopened";
    if (lack.row) lack.row.reach();
    else this.part("missing").scrollIntoView({ block: "center" });
    if (lack.words === "tLine") this.part("strip").ask();
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

// <rank-list>: puts answers in order by letters, taps or chips. The form's selects hold the ranking; this keeps them.

import { arm, draw, EMPTY, groupOf, join, none, place, placed, remove, settle, shift } from "./ranking.js";

const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);

class RankList extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    this.cards = [...this.querySelectorAll("[data-part=card]")];
    this.letters = this.cards.map((card) => card.dataset.letter);
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
    this.fold();
    if (this.rows.length && !this.form.querySelector("[autofocus]")) this.open()?.querySelector("input").focus({ preventScroll: true });
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
    for (const name of ["strip", "sheet"]) this.part(name).hidden = false;
    for (const card of this.cards) {
      const press = card.querySelector("[data-part=press]");
      press.hidden = false;
      press.addEventListener("click", () => this.tap(card.dataset.letter));
      card.querySelector("[data-part=open]").addEventListener("click", () => this.unfold(card));
    }
    this.part("arm").addEventListener("click", () => this.step(arm));
    this.part("line").addEventListener("click", () => this.step(draw));
    this.part("step-back").addEventListener("click", () => this.back());
    this.part("sheet").addEventListener("click", () => this.toggleStrip());
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
    const before = this.ranking;
    const after = change(before);
    if (after === before) return;
    this.steps.push(before);
    this.ranking = after;
    this.write();
  }

  back() {
    if (!this.steps.length) return;
    this.ranking = this.steps.pop();
    this.current = this.ranking.typed;
    this.write();
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
    if (groupOf(this.ranking, letter) >= 0) this.drop(letter);
    else this.put(letter);
    this.card(letter).querySelector("[data-part=press]").focus();
  }

  pressed(name) {
    const row = document.activeElement?.closest?.("likert-row");
    const acts = { "=": arm, L: draw };
    if (this.letters.includes(name)) this.put(name);
    else if (name in acts) this.step(acts[name]);
    else if (name === "0" && row?.value) row.clear();
    else if (name === "0") this.step(none);
    else if (name === "Backspace") this.back();
    else if (name === "R") this.open(row)?.reach();
    else if (name === "O") this.unfoldAll();
    else if (/^[1-9]$/.test(name)) this.rate(row ?? this.open(), name);
  }

  /** The next row without a value after this one, from the top again. */
  open(row = null) {
    const after = this.rows.slice(this.rows.indexOf(row) + 1);
    return [...after, ...this.rows].find((one) => !one.querySelector(":checked"));
  }

  rate(row, digit) {
    if (!row?.choose(digit)) return;
    const next = this.rows[this.rows.indexOf(row) + 1];
    if (next) next.reach();
    else this.reach(this.current ?? this.letters[0]);
  }

  /** Holds back what lacks a place, a required rating or a look. */
  check(event) {
    const left = this.letters.filter((letter) => groupOf(this.ranking, letter) < 0);
    const required = this.dataset.required.split(" ").filter(Boolean);
    const unrated = this.rows.find((row) => required.includes(row.dataset.axis) && row.value === null);
    const unread = this.warned ? [] : this.cards.filter((card) => card.querySelector(".folded")).map((card) => card.dataset.letter);
    let words = "";
    if (left.length) words = fill(this.dataset.tMissing, { letters: left.join(", ") });
    else if (unrated) words = this.dataset.tRate;
    else if (unread.length) words = fill(this.dataset.tUnopened, { letters: unread.join(", ") });
    if (!words) return;
    event.preventDefault();
    this.part("missing").textContent = words;
    if (!left.length && unrated) {
      unrated.classList.add("missing");
      unrated.reach();
    } else {
      this.warned = !left.length;
      this.part("missing").scrollIntoView({ block: "center" });
    }
  }

  /** Folds long texts to the same height, with a button that opens them. */
  fold() {
    for (const card of this.cards) {
      const text = card.querySelector("[data-part=text]");
      text.classList.add("folded");
      const long = text.scrollHeight > text.clientHeight + 4;
      text.classList.toggle("folded", long);
      card.querySelector("[data-part=open]").hidden = !long;
    }
    const prompt = this.querySelector(".prompt");
    const turns = this.part("turns");
    prompt.classList.add("folded");
    const long = turns.scrollHeight > turns.clientHeight + 4;
    prompt.classList.toggle("folded", long);
    this.part("open-prompt").hidden = !long;
  }

  unfold(card) {
    card.querySelector("[data-part=text]").classList.remove("folded");
    card.querySelector("[data-part=open]").hidden = true;
  }

  unfoldAll() {
    this.cards.forEach((card) => this.unfold(card));
  }

  togglePrompt() {
    const folded = this.querySelector(".prompt").classList.toggle("folded");
    this.part("open-prompt").setAttribute("aria-expanded", String(!folded));
  }

  toggleStrip(open = !this.part("strip").classList.contains("open")) {
    this.part("strip").classList.toggle("open", open);
    this.part("sheet").setAttribute("aria-expanded", String(open));
  }

  card(letter) {
    return this.cards.find((card) => card.dataset.letter === letter);
  }

  reach(letter) {
    this.current = groupOf(this.ranking, letter) < 0 ? null : letter;
    this.chips();
    const chip = this.part("chips").querySelector(`[data-letter="${letter}"]`);
    chip?.scrollIntoView({ block: "nearest", inline: "nearest" });
    chip?.focus({ preventScroll: true });
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
    for (const letter of this.letters) this.drawCard(letter);
    this.part("arm").setAttribute("aria-pressed", String(ranking.tie));
    this.part("count").textContent = fill(this.dataset.tPlaced, count);
    this.part("short").textContent = fill(this.dataset.tShort, count);
    this.chips();
  }

  drawCard(letter) {
    const card = this.card(letter);
    const index = groupOf(this.ranking, letter);
    const next = this.ordinals[this.ranking.groups.length - (this.ranking.tie ? 1 : 0)];
    card.classList.toggle("placed", index >= 0);
    card.querySelector("[data-part=place]").hidden = index < 0;
    const last = this.ranking.auto === letter ? `, ${this.dataset.tLast}` : "";
    card.querySelector("[data-part=place-words]").textContent = index < 0 ? "" : this.ordinals[index] + last;
    const words = index >= 0 ? this.dataset.tBack : this.ranking.tie ? this.dataset.tTieWith : this.dataset.tPlace;
    card.querySelector("[data-part=press]").textContent = fill(words, { letter, place: next });
  }

  chips() {
    const { groups, line, auto } = this.ranking;
    const made = line === 0 ? [this.mark(this.dataset.tNone)] : [];
    groups.forEach((group, index) => {
      group.forEach((letter, at) => made.push(this.chip(letter, index, { tied: at > 0, last: letter === auto })));
      if (line === index + 1) made.push(this.mark(this.dataset.tLine));
    });
    const left = this.letters.filter((letter) => groupOf(this.ranking, letter) < 0);
    if (left.length) made.push(this.hint(groups.length + (this.ranking.tie ? 0 : 1), left));
    this.part("chips").replaceChildren(...made);
  }

  mark(words) {
    const item = document.createElement("li");
    item.className = "line";
    item.textContent = words;
    return item;
  }

  hint(n, left) {
    const item = document.createElement("li");
    item.className = "chip next xs";
    const letters = left.length > 2 ? left.join(" ") : left.join(` ${this.dataset.tOr} `);
    item.textContent = fill(this.dataset.tNext, { n, letters });
    return item;
  }

  chip(letter, index, { tied, last }) {
    const item = this.querySelector("template[data-part=chip]").content.firstElementChild.cloneNode(true);
    item.dataset.letter = letter;
    item.classList.toggle("current", letter === this.current);
    item.classList.toggle("tied", tied);
    item.querySelector("[data-part=rank]").textContent = tied ? "=" : String(index + 1);
    item.querySelector("[data-part=letter]").textContent = letter;
    if (last) item.querySelector(".moves").before(this.small(this.dataset.tLast));
    const acts = {
      up: [this.dataset.tUp, (ranking) => shift(ranking, letter, -1)],
      down: [this.dataset.tDown, (ranking) => shift(ranking, letter, 1)],
      tie: [this.dataset.tTie, (ranking) => join(ranking, letter)],
    };
    for (const [name, [words, act]] of Object.entries(acts)) this.bind(item, name, words, letter, () => this.step(act));
    this.bind(item, "remove", this.dataset.tBack, letter, () => this.drop(letter));
    item.addEventListener("click", (event) => event.target.closest("button") || this.reach(letter));
    return item;
  }

  bind(item, name, words, letter, act) {
    const button = item.querySelector(`[data-part=${name}]`);
    button.setAttribute("aria-label", fill(words, { letter }));
    button.addEventListener("click", () => {
      act();
      this.part("chips").querySelector(`[data-letter="${letter}"] [data-part=${name}]`)?.focus();
    });
  }

  small(words) {
    const made = document.createElement("span");
    made.className = "last";
    made.textContent = words;
    return made;
  }
}

customElements.define("rank-list", RankList);

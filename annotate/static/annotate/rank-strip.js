// <rank-strip>: shows a ranking as chips, best first. What is pressed goes out as "rank-act" {name, letter}.

import { groupOf } from "./ranking.js";
import { fill } from "./words.js";

const TOOLS = { arm: "arm", line: "line", "step-back": "back" };

class RankStrip extends HTMLElement {
  connectedCallback() {
    for (const [part, name] of Object.entries(TOOLS)) this.part(part).addEventListener("click", () => this.send(name));
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  /** Shows it; on a phone it opens from a button. @param {HTMLElement} sheet that button */
  reveal(sheet) {
    this.hidden = sheet.hidden = false;
    this.sheet = sheet;
    sheet.addEventListener("click", () => this.open(!this.classList.contains("open")));
  }

  open(wanted) {
    this.classList.toggle("open", wanted);
    this.sheet.setAttribute("aria-expanded", String(wanted));
  }

  /** Asks where acceptable ends, at the end of the chips; the answer takes the question away and the focus back. */
  ask() {
    this.open(true);
    this.asked?.remove();
    this.asked = this.mark(this.dataset.tAsk);
    this.asked.classList.add("asked");
    this.part("chips").append(this.asked);
    this.asked.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.part("line").focus({ preventScroll: true });
  }

  send(name, letter) {
    this.dispatchEvent(new CustomEvent("rank-act", { bubbles: true, detail: { name, letter } }));
  }

  /** @param {import("./ranking.js").Ranking} ranking @param {{current: string|null, letters: string[]}} about */
  show(ranking, { current, letters }) {
    const made = ranking.line === 0 ? [this.mark(this.dataset.tNone)] : [];
    ranking.groups.forEach((group, index) => {
      group.forEach((letter, at) => {
        const state = { tied: at > 0, last: letter === ranking.auto, current: letter === current };
        made.push(this.chip(letter, index, state));
      });
      if (ranking.line === index + 1) made.push(this.mark(this.dataset.tLine));
    });
    const left = letters.filter((letter) => groupOf(ranking, letter) < 0);
    if (left.length) made.push(this.hint(ranking.groups.length + (ranking.tie ? 0 : 1), left));
    this.part("chips").replaceChildren(...made);
    this.part("arm").setAttribute("aria-pressed", String(ranking.tie));
    if (!this.asked || ranking.line === null) return;
    this.asked = null;
    this.reach(ranking.groups.at(-1)[0]); // so that Enter sends, and moves no line
  }

  /** Focus to the chip of a letter. */
  reach(letter) {
    const chip = this.querySelector(`[data-letter="${letter}"]`);
    chip?.scrollIntoView({ block: "nearest", inline: "nearest" });
    chip?.focus({ preventScroll: true });
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

  chip(letter, index, { tied, last, current }) {
    const item = this.querySelector("template").content.firstElementChild.cloneNode(true);
    item.dataset.letter = letter;
    item.classList.toggle("current", current);
    item.classList.toggle("tied", tied);
    item.querySelector("[data-part=rank]").textContent = tied ? "=" : String(index + 1);
    item.querySelector("[data-part=letter]").textContent = letter;
    item.querySelector("[data-part=last]").hidden = !last;
    const words = { up: this.dataset.tUp, down: this.dataset.tDown, tie: this.dataset.tTie, remove: this.dataset.tBack };
    for (const [name, label] of Object.entries(words)) this.bind(item, name, fill(label, { letter }), letter);
    item.addEventListener("click", (event) => event.target.closest("button") || this.send("reach", letter));
    return item;
  }

  bind(item, name, label, letter) {
    const button = item.querySelector(`[data-part=${name}]`);
    button.setAttribute("aria-label", label);
    button.addEventListener("click", () => {
      this.send(name, letter);
      this.querySelector(`[data-letter="${letter}"] [data-part=${name}]`)?.focus();
    });
  }
}

customElements.define("rank-strip", RankStrip);

// <rate-answer>: around one answer and what is said of it. A digit rates and moves on; flags and critique hear their own
// keys; what says nothing, or was not read, is held back.

import "./likert-row.js";
import { Fold, foldPrompt } from "./folds.js";

class RateAnswer extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    this.rows = [...this.querySelectorAll("likert-row")];
    this.fold = new Fold(this.querySelector("[data-part=card]"));
    foldPrompt(this);
    this.key = (event) => this.pressed(event.detail.name);
    this.sent = (event) => this.check(event);
    this.changed = () => this.say("");
    document.addEventListener("key", this.key);
    this.form.addEventListener("submit", this.sent);
    this.form.addEventListener("change", this.changed);
    if (matchMedia("(pointer: fine)").matches) this.open()?.reach({ preventScroll: true });
  }

  disconnectedCallback() {
    document.removeEventListener("key", this.key);
    this.form?.removeEventListener("submit", this.sent);
    this.form?.removeEventListener("change", this.changed);
  }

  pressed(name) {
    const focused = document.activeElement;
    if (focused?.closest("flag-set") && /^[0-9]$/.test(name)) return; // they belong to the flag
    const row = focused?.closest("likert-row");
    if (name === "0") row?.clear();
    else if (name === "O") this.fold.open();
    else if (name === "R") this.open(row)?.reach();
    else if (/^[1-7]$/.test(name)) this.rate(row ?? this.open(), name);
  }

  /** The next row without a value after this one, from the top again. */
  open(row = null) {
    return [...this.rows.slice(this.rows.indexOf(row) + 1), ...this.rows].find((one) => one.value === null);
  }

  rate(row, digit) {
    if (!row?.choose(digit)) return;
    const next = this.rows[this.rows.indexOf(row) + 1];
    if (next) next.reach();
    else document.getElementById("submit").focus();
  }

  /** Whether a rating, a flag or a critique was given. */
  get said() {
    const written = [...this.querySelectorAll("textarea")].some((field) => field.value.trim());
    return written || this.querySelector(":checked") !== null;
  }

  check(event) {
    const required = this.dataset.required.split(" ").filter(Boolean);
    const unrated = this.rows.find((row) => required.includes(row.dataset.axis) && row.value === null);
    const unread = this.fold.folded && !this.warned;
    if (this.said && !unrated && !unread) return;
    event.preventDefault();
    if (!this.said) this.say(this.dataset.tMissing);
    else if (unrated) this.say(this.dataset.tRate);
    else this.say(this.dataset.tUnopened);
    if (this.said && unrated) {
      unrated.classList.add("missing");
      unrated.reach();
      return;
    }
    this.warned = this.said;
    this.querySelector("[data-part=missing]").scrollIntoView({ block: "center" });
  }

  say(words) {
    this.querySelector("[data-part=missing]").textContent = words;
  }
}

customElements.define("rate-answer", RateAnswer);

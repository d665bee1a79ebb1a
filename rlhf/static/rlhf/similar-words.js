// <similar-words>: three words of a map, one after the other. The form beneath works without it.

import { percent } from "../annotate/build.js";
import { send } from "../annotate/csrf.js";
import { fill } from "../annotate/words.js";

class SimilarWords extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.buttons = [...this.form.querySelectorAll("button")];
    this.form.addEventListener("submit", (event) => this.submit(event));
    this.part("undo").addEventListener("click", () => this.undo());
  }

  part(name) {
    return this.querySelector(`[data-part=similar-${name}]`);
  }

  submit(event) {
    event.preventDefault();
    this.vote(event.submitter.value);
  }

  async vote(odd) {
    const words = this.buttons.map((button) => button.value);
    const reply = await this.sent({ words, odd });
    if (!reply) return;
    this.voted = words;
    this.part("undo").hidden = false;
    this.say(!reply.model ? "tUnknown" : reply.model === odd ? "tSame" : "tOther", { own: reply.model });
    await this.next();
  }

  /** The same three are asked again. */
  async undo() {
    if (!(await this.sent({ words: this.voted, odd: "" }))) return;
    this.part("undo").hidden = true;
    this.ask(this.voted);
    this.say("tBack", {});
    this.buttons[0].focus();
    await this.next(this.voted);
  }

  /** What the server made of a vote, or null. The buttons rest meanwhile. */
  async sent(body) {
    if (this.resting) return null;
    this.rest(true);
    const response = await send(this.dataset.url, body).catch(() => null);
    this.rest(false);
    if (!response?.ok) this.say("tLost", {});
    return response?.ok ? response.json() : null;
  }

  rest(is) {
    this.resting = is;
    for (const one of [...this.buttons, this.part("undo")]) one.setAttribute("aria-disabled", String(is));
  }

  say(name, values) {
    this.part("said").textContent = fill(this.dataset[name], values);
  }

  ask(words) {
    this.buttons.forEach((button, at) => (button.textContent = button.value = words[at]));
  }

  /** @param {string[]} [again] words to ask in place of new ones */
  async next(again) {
    const response = await fetch(this.dataset.url, { headers: { Accept: "application/json" } }).catch(() => null);
    if (!response?.ok) return;
    const { words, votes, told, agreed } = await response.json();
    this.ask(again ?? words);
    const found = { votes, told, agreed: percent(agreed / told) };
    this.querySelector("[data-part=so-far]").textContent = votes ? fill(this.dataset[told ? "tSoFar" : "tFirst"], found) : "";
  }
}

customElements.define("similar-words", SimilarWords);

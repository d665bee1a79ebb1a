// <text-editor>: around a text area. Counts its words, shows, a moment after typing, what differs from the original or
// how it will look and what is worth a second look, also in the field beside it, and asks where a long paste comes from.

import { render } from "./blocks.js";
import { send } from "./csrf.js";
import "./word-diff.js";

const WAIT = 200;
const PAUSE = 500;
const PASTE = 200; // characters; a longer one is asked for its source
const MOST = 20_000; // characters that a preview shows

class TextEditor extends HTMLElement {
  connectedCallback() {
    this.field = this.querySelector("[data-part=field]");
    this.original = document.getElementById(this.dataset.original)?.content.textContent;
    this.pasted = this.querySelector("[data-part=pasted]");
    this.beside = document.getElementById(this.dataset.beside);
    this.typed = () => this.plan();
    this.paste = (event) => this.ask(event.clipboardData.getData("text/plain").length);
    this.restored = () => this.ask() ?? this.plan();
    for (const field of [this.field, this.beside]) {
      field?.addEventListener("input", this.typed);
      field?.addEventListener("paste", this.paste);
    }
    this.field.form.addEventListener("restored", this.restored);
    this.ask();
    this.draw();
    this.preview();
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
    clearTimeout(this.pause);
    this.beside?.removeEventListener("input", this.typed);
    this.beside?.removeEventListener("paste", this.paste);
    this.field.form?.removeEventListener("restored", this.restored);
  }

  plan() {
    clearTimeout(this.timer);
    clearTimeout(this.pause);
    this.timer = setTimeout(() => this.draw(), WAIT);
    this.pause = setTimeout(() => this.preview(), PAUSE);
  }

  draw() {
    const words = this.field.value.split(/\s+/).filter(Boolean).length;
    this.querySelector("[data-part=words]").textContent = this.dataset.tWords.replace("{n}", words.toLocaleString("en"));
    if (this.original !== undefined) this.querySelector("[data-part=diff]")?.show(this.original, this.field.value);
  }

  /** Shows the question for a source after a long paste, and as long as it has an answer. */
  ask(length = 0) {
    if (!this.pasted || this.asked) return;
    this.asked = length > PASTE;
    this.pasted.hidden = !this.asked && !this.pasted.querySelector("input").value;
  }

  /** How the server renders it; nothing where it cannot say so now. The next pause asks again. */
  async preview() {
    const place = this.querySelector("[data-part=preview]");
    const [text, instruction] = [this.field, this.beside].map((field) => field?.value.slice(0, MOST));
    const shown = JSON.stringify([text, instruction]);
    if (!place || shown === this.shown) return;
    this.shown = shown;
    place.hidden = !text.trim();
    if (place.hidden && !instruction?.trim()) return this.notice([]);
    try {
      const response = await send(this.dataset.preview, { text, slot: this.dataset.slot, instruction });
      if (!response.ok || shown !== this.shown) return;
      const { blocks, notices } = await response.json();
      this.querySelector("[data-part=shown]").replaceChildren(render(blocks));
      this.notice(notices);
    } catch {
      this.shown = null;
    }
  }

  /** @param {string[]} codes of the notices that hold now */
  notice(codes) {
    for (const one of this.field.form?.querySelectorAll("[data-notice]") ?? []) {
      one.hidden = !codes.includes(one.dataset.notice);
    }
  }
}

customElements.define("text-editor", TextEditor);

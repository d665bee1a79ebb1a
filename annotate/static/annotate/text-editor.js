// <text-editor>: around a text area. Counts its words and shows, a moment after typing, what differs from the original.

import "./word-diff.js";

const WAIT = 200;

class TextEditor extends HTMLElement {
  connectedCallback() {
    this.field = this.querySelector("[data-part=field]");
    this.original = document.getElementById(this.dataset.original)?.content.textContent;
    this.typed = () => this.plan();
    this.field.addEventListener("input", this.typed);
    this.field.form.addEventListener("restored", this.typed);
    this.draw();
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
    this.field.form?.removeEventListener("restored", this.typed);
  }

  plan() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.draw(), WAIT);
  }

  draw() {
    const words = this.field.value.split(/\s+/).filter(Boolean).length;
    this.querySelector("[data-part=words]").textContent = this.dataset.tWords.replace("{n}", words.toLocaleString("en"));
    if (this.original !== undefined) this.querySelector("[data-part=diff]")?.show(this.original, this.field.value);
  }
}

customElements.define("text-editor", TextEditor);

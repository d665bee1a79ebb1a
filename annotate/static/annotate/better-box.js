// <better-box>: an editable copy of one answer. W opens it. Closed and untouched it is no part of the form, so that
// drafts do not carry every answer; what edits it is fetched when it first opens.

class BetterBox extends HTMLElement {
  connectedCallback() {
    this.box = this.querySelector("details");
    this.field = this.querySelector("[data-part=field]");
    this.restored = () => (this.box.open ||= this.changed);
    this.field.form.addEventListener("restored", this.restored);
    this.box.addEventListener("toggle", () => this.draw());
    this.draw();
  }

  disconnectedCallback() {
    this.field.form?.removeEventListener("restored", this.restored);
  }

  get changed() {
    return this.field.value.trim() !== this.querySelector("template").content.textContent.trim();
  }

  draw() {
    this.field.disabled = !this.box.open && !this.changed;
    if (this.box.open) import("./text-editor.js");
  }

  open() {
    this.box.open = true;
    this.field.disabled = false;
    this.field.focus();
  }
}

customElements.define("better-box", BetterBox);

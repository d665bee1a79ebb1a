// <critique-box>: what somebody says of one answer. N opens it; what is selected of an answer then becomes a line that
// starts with ">", which the server finds again in the answer.

class CritiqueBox extends HTMLElement {
  connectedCallback() {
    this.box = this.querySelector("details");
    this.field = this.querySelector("[data-part=field]");
    this.key = (event) => event.detail.name === "N" && "alone" in this.dataset && this.open();
    this.restored = () => this.field.value && (this.box.open = true);
    const quote = this.querySelector("[data-part=quote]");
    quote.hidden = false;
    quote.addEventListener("pointerdown", (event) => event.preventDefault()); // what is selected stays so
    quote.addEventListener("click", () => this.quote());
    document.addEventListener("key", this.key);
    this.field.form.addEventListener("restored", this.restored);
  }

  disconnectedCallback() {
    document.removeEventListener("key", this.key);
    this.field.form?.removeEventListener("restored", this.restored);
  }

  open() {
    this.box.open = true;
    this.quote();
  }

  /** Adds what is selected of an answer, and goes on at the end. */
  quote() {
    const words = selected();
    if (words) {
      const before = this.field.value.trimEnd();
      this.field.value = `${before}${before && "\n"}> ${words}\n`;
      this.field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    this.field.focus();
    this.field.setSelectionRange(this.field.value.length, this.field.value.length);
  }
}

/** The words that are selected within the text of an answer. */
function selected() {
  const selection = document.getSelection();
  const at = selection.anchorNode;
  const text = (at instanceof Element ? at : at?.parentElement)?.closest("article .reading");
  return text ? selection.toString().replace(/\s+/g, " ").trim() : "";
}

customElements.define("critique-box", CritiqueBox);

// <likert-row>: around a row of radios. It can be cleared again, and takes a digit.

class LikertRow extends HTMLElement {
  connectedCallback() {
    this.clearer = this.querySelector("[data-part=clear]");
    this.changed = () => this.draw();
    this.clearer.addEventListener("click", () => this.clear());
    this.addEventListener("change", this.changed);
    this.closest("form").addEventListener("restored", this.changed);
    this.draw();
  }

  disconnectedCallback() {
    this.closest("form")?.removeEventListener("restored", this.changed);
  }

  get value() {
    return this.querySelector(":checked")?.value ?? null;
  }

  /** @param {string} digit */
  choose(digit) {
    const radio = this.querySelector(`input[value="${digit}"]`);
    if (!radio) return false;
    radio.checked = true;
    radio.dispatchEvent(new Event("change", { bubbles: true }));
    return true;
  }

  clear() {
    const radio = this.querySelector(":checked");
    if (!radio) return;
    radio.checked = false;
    radio.dispatchEvent(new Event("change", { bubbles: true }));
    this.reach();
  }

  /** Focus to the row: its value, or its first radio. */
  reach(options) {
    (this.querySelector(":checked") ?? this.querySelector("input")).focus(options);
  }

  draw() {
    this.clearer.hidden = this.value === null;
    this.classList.remove("missing");
  }
}

customElements.define("likert-row", LikertRow);

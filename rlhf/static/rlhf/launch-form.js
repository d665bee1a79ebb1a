// <launch-form>: around the launch form. A preset fills the fields that nobody has changed; each changed one says so.

class LaunchForm extends HTMLElement {
  connectedCallback() {
    this.presets = JSON.parse(this.querySelector("script[type='application/json']").textContent);
    this.preset = this.querySelector("[name=preset]:checked")?.value;
    this.querySelector("[data-part=fill]")?.setAttribute("hidden", "");
    this.changed = (event) => (event.target.name === "preset" ? this.fill(event.target.value) : this.mark());
    this.pressed = (event) => event.target.closest("[data-part=reset]") && this.reset(event);
    this.addEventListener("input", this.changed);
    this.addEventListener("click", this.pressed);
    this.mark();
  }

  disconnectedCallback() {
    this.removeEventListener("input", this.changed);
    this.removeEventListener("click", this.pressed);
  }

  get fields() {
    return [...this.querySelectorAll("[data-part=value]")];
  }

  /** What the field would send. @param {HTMLInputElement|HTMLSelectElement|HTMLTextAreaElement} field */
  value(field) {
    return field.type === "checkbox" ? String(field.checked) : field.value.trim();
  }

  put(field, value) {
    if (field.type === "checkbox") field.checked = value === "true";
    else field.value = value;
  }

  fill(preset) {
    const before = this.presets[this.preset] ?? {};
    for (const field of this.fields) {
      const start = this.presets[preset][field.name];
      if (start !== undefined && this.value(field) === before[field.name]) this.put(field, start);
    }
    this.preset = preset;
    this.mark();
  }

  reset(event) {
    const field = event.target.closest("[data-part=field]").querySelector("[data-part=value]");
    this.put(field, this.presets[this.preset][field.name]);
    this.mark();
    field.focus();
  }

  mark() {
    let folded = 0;
    for (const field of this.fields) {
      const start = this.presets[this.preset]?.[field.name];
      const note = field.closest("[data-part=field]").querySelector("[data-part=changed]");
      const differs = start !== undefined && this.value(field) !== start;
      if (note) {
        note.hidden = !differs;
        note.querySelector("[data-part=start]").textContent = start ?? "";
      }
      if (differs && field.closest("details")) folded += 1;
    }
    const count = this.querySelector("[data-part=changed-count]");
    if (count) count.textContent = String(folded);
  }
}

customElements.define("launch-form", LaunchForm);

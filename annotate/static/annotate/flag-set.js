// <flag-set>: the flags of one answer, each yes, no or not answered. M opens it; there 1 is yes, 2 no, 0 clears, J and K
// go to the next and the one before.

const VALUES = { 1: "yes", 2: "no" };

class FlagSet extends HTMLElement {
  connectedCallback() {
    this.box = this.querySelector("details");
    this.flags = [...this.querySelectorAll("[data-part=flag]")];
    this.key = (event) => this.pressed(event.detail.name);
    this.changed = () => this.draw();
    document.addEventListener("key", this.key);
    this.closest("form").addEventListener("restored", this.changed);
    this.addEventListener("change", this.changed);
    this.addEventListener("click", (event) => this.clear(event.target.closest("[data-part=clear]")?.parentElement));
    this.draw();
  }

  disconnectedCallback() {
    document.removeEventListener("key", this.key);
    this.closest("form")?.removeEventListener("restored", this.changed);
  }

  /** Opens at the first flag without an answer, or closes. */
  toggle() {
    this.box.open = !this.box.open;
    if (this.box.open) this.reach(this.flags.find((flag) => !chosen(flag)) ?? this.flags[0]);
    else this.querySelector("summary").focus();
  }

  pressed(name) {
    if (name === "M" && "alone" in this.dataset) this.toggle();
    const flag = document.activeElement?.closest?.("[data-part=flag]");
    const at = this.flags.indexOf(flag);
    if (at < 0) return;
    if (name in VALUES) this.choose(flag, VALUES[name]) ?? this.reach(this.flags[at + 1] ?? flag);
    else if (name === "0") this.clear(flag);
    else if (name === "J" || name === "K") this.reach(this.flags[at + (name === "J" ? 1 : -1)] ?? flag);
  }

  choose(flag, value) {
    flag.querySelector(`[value=${value}]`).checked = true;
    this.told();
  }

  clear(flag) {
    const radio = flag && chosen(flag);
    if (!radio) return;
    radio.checked = false;
    this.told();
    radio.focus();
  }

  told() {
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  reach(flag) {
    (chosen(flag) ?? flag.querySelector("input")).focus();
  }

  draw() {
    for (const flag of this.flags) flag.querySelector("[data-part=clear]").hidden = !chosen(flag);
    const n = this.flags.filter(chosen).length;
    const words = this.dataset.tAnswered.replace("{n}", String(n)).replace("{k}", String(this.flags.length));
    this.querySelector("[data-part=answered]").textContent = n ? words : "";
  }
}

const chosen = (flag) => flag.querySelector(":checked");

customElements.define("flag-set", FlagSet);

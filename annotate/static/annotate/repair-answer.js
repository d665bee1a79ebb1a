// <repair-answer>: around an answer and its repair. O opens the answer as it was; E and N lead to the two fields.

import { foldPrompt } from "./folds.js";

const FIELDS = { E: "text", N: "about" };

class RepairAnswer extends HTMLElement {
  connectedCallback() {
    const before = this.querySelector("[data-part=before]");
    foldPrompt(this);
    this.key = ({ detail: { name } }) => {
      if (name === "O") before.open = !before.open;
      else if (name in FIELDS) document.getElementById(FIELDS[name]).focus();
    };
    document.addEventListener("key", this.key);
  }

  disconnectedCallback() {
    document.removeEventListener("key", this.key);
  }
}

customElements.define("repair-answer", RepairAnswer);

// <prompt-turns>: the conversation before an answer, where it stands above the work: P opens all turns and folds them.

import { foldPrompt } from "./folds.js";

class PromptTurns extends HTMLElement {
  connectedCallback() {
    foldPrompt(this);
  }
}

customElements.define("prompt-turns", PromptTurns);

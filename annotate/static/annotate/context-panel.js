// <context-panel>: the sentences read so far, with the words marked that helped or misled.

import { made } from "./build.js";
import { TELLING } from "./tinynet/influence.js";
import { fill } from "./words.js";

class ContextPanel extends HTMLElement {
  /** @param {import("./tinynet/round.js").Sentence[]} sentences @param {Map<number, number>} [effects] of each word's id */
  show(sentences, effects = new Map()) {
    const read = sentences.flatMap((sentence) => [...this.marked(sentence, effects), " "]);
    this.replaceChildren(made("p", { dir: "auto" }, ...(read.length ? read : [this.dataset.tEmpty])));
    this.classList.toggle("muted", !read.length);
  }

  marked({ text, ids, spans }, effects) {
    const nodes = [];
    let at = 0;
    spans.forEach(([start, end], place) => {
      const effect = effects.get(ids[place]) ?? 0;
      if (Math.abs(effect) < TELLING) return;
      const helped = effect > 0;
      const said = fill(helped ? this.dataset.tHelped : this.dataset.tMisled, { n: Math.abs(effect).toFixed(2) });
      const figure = made("span", { class: "visually-hidden" }, ` (${said})`);
      const word = made("span", { class: helped ? "helped" : "misled" }, text.slice(start, end), figure);
      nodes.push(text.slice(at, start), word);
      at = end;
    });
    return [...nodes, text.slice(at)];
  }
}

customElements.define("context-panel", ContextPanel);

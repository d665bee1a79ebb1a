// <chat-stream>: around the playground's form. Streams the answer from the API as lines of JSON, and can stop it.
// The form beneath works without it: it then waits for the whole answer.

import { render } from "../annotate/blocks.js";
import { token } from "../annotate/csrf.js";

/** @typedef {{role: "user"|"assistant", content: string}} Turn */

/** Whole lines of JSON as they come. @param {ReadableStream<Uint8Array>} stream */
export async function* lines(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    const whole = rest.split("\n");
    rest = done ? "" : whole.pop();
    for (const line of whole) if (line.trim()) yield JSON.parse(line);
    if (done) return;
  }
}

class ChatStream extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    /** @type {Turn[]} */
    this.turns = JSON.parse(this.form.elements.messages.value || "[]");
    this.listeners = [
      [this.form, "submit", (event) => this.submit(event)],
      [this.form, "change", () => this.remember()],
      [this.part("stop"), "click", () => this.abort?.abort()],
      [this.part("again"), "click", () => this.again()],
    ];
    this.listeners.forEach(([target, kind, listener]) => target.addEventListener(kind, listener));
    this.part("again").hidden = !this.turns.length;
  }

  disconnectedCallback() {
    this.abort?.abort();
    this.listeners.forEach(([target, kind, listener]) => target.removeEventListener(kind, listener));
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  submit(event) {
    event.preventDefault();
    const prompt = this.form.elements.prompt.value.trim();
    if (!prompt || this.abort) return;
    this.turns.push({ role: "user", content: prompt });
    this.show("user").body.textContent = prompt;
    this.form.elements.prompt.value = "";
    this.answer();
  }

  again() {
    if (this.abort || !this.turns.length) return;
    if (this.turns.at(-1).role === "assistant") {
      this.turns.pop();
      this.part("turns").lastElementChild.remove();
    }
    this.answer();
  }

  /** A new turn at the end of the conversation, from its template. */
  show(role) {
    const item = this.querySelector(`template[data-role=${role}]`).content.firstElementChild.cloneNode(true);
    this.part("turns").append(item);
    return { item, body: item.querySelector("[data-part=body]"), ended: item.querySelector("[data-part=ended]") };
  }

  async answer() {
    this.abort = new AbortController();
    this.busy(true);
    const shown = this.show("assistant");
    shown.ended.textContent = this.dataset.tLoading;
    const turn = { role: "assistant", content: "" };
    let last = {};
    try {
      const response = await this.ask();
      if (!response.ok) throw new Error((await response.json()).detail ?? this.dataset.tLost);
      for await (const line of lines(response.body)) {
        turn.content += line.text ?? "";
        shown.body.textContent = turn.content;
        shown.ended.textContent = "";
        if (line.error) throw new Error(line.error.sentence);
        if (line.done) last = line;
      }
      if (!last.done) throw new Error(this.dataset.tLost);
      shown.ended.textContent = this.said(last);
    } catch (error) {
      shown.ended.textContent = error.name === "AbortError" ? this.dataset.tStopped : error.message;
    }
    if (last.blocks) this.settle(shown.body, last.blocks);
    if (turn.content) this.turns.push(turn);
    this.form.elements.messages.value = JSON.stringify(this.turns);
    this.abort = null;
    this.busy(false);
  }

  ask() {
    return fetch(this.dataset.url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token() },
      body: JSON.stringify(this.request()),
      signal: this.abort.signal,
    });
  }

  request() {
    const numbers = [...this.querySelectorAll("[data-part=setting]")].map((field) => [field.name, Number(field.value)]);
    const messages = this.turns.map(({ role, content }) => ({ role, content }));
    return { models: [this.form.elements.model.value], messages, settings: Object.fromEntries(numbers) };
  }

  said(line) {
    const words = { length: this.dataset.tLength, cancelled: this.dataset.tStopped };
    return [words[line.stop], this.dataset.tTokens.replace("{n}", line.tokens ?? "–")]
      .filter(Boolean)
      .join(" · ");
  }

  settle(body, blocks) {
    body.classList.remove("raw");
    body.replaceChildren(render(blocks));
  }

  busy(on) {
    this.part("stop").hidden = !on;
    this.part("send").hidden = on;
    this.part("again").hidden = on || !this.turns.length;
    this.part("turns").setAttribute("aria-busy", String(on));
  }

  /** Keeps model and settings in the address, so that it can be shared. */
  remember() {
    const kept = [this.form.elements.model, ...this.querySelectorAll("[data-part=setting]")];
    const query = new URLSearchParams(kept.map((field) => [field.name, field.value]));
    history.replaceState(null, "", `?${query}`);
  }
}

customElements.define("chat-stream", ChatStream);

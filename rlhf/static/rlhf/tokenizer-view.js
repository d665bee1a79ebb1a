// <tokenizer-view>: asks for the tokens of what is typed, and slides through the merges that made them.
// The form beneath works without it: it then shows the whole page anew.

import { signedOut, token } from "../annotate/csrf.js";
import { written } from "./numbers.js";
import "./token-list.js";

const WAIT_MS = 150;

class TokenizerView extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.text = this.form.elements.text;
    this.slider = this.part("slider");
    this.sides = [...this.querySelectorAll("token-list")];
    this.listeners = [
      [this.text, "input", () => this.soon()],
      [this.form, "submit", (event) => this.submit(event)],
      [this.slider, "input", () => this.step(this.slider.valueAsNumber)],
      [this.part("earlier"), "click", () => this.step(this.slider.valueAsNumber - 1)],
      [this.part("later"), "click", () => this.step(this.slider.valueAsNumber + 1)],
      ...[...this.querySelectorAll("[data-tab]")].map((tab) => [tab, "click", (event) => this.turn(event)]),
    ];
    this.listeners.forEach(([target, kind, listener]) => target.addEventListener(kind, listener));
    this.remember();
    for (const digits of [undefined, 0, 2]) written(0, { digits }); // made before there is an answer to draw
    if (this.text.value) this.ask();
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.listeners.forEach(([target, kind, listener]) => target.removeEventListener(kind, listener));
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), WAIT_MS);
  }

  /** A new text is asked for here; other tokenizers are another page. */
  submit(event) {
    const chosen = ["model", "with"].some((name) => this.changed(name));
    if (event.submitter?.name === "example") this.text.value = event.submitter.value;
    if (chosen) return;
    event.preventDefault();
    this.ask();
  }

  changed(name) {
    return [...(this.form.elements[name]?.options ?? [])].some((one) => one.selected !== one.defaultSelected && one.value);
  }

  /** The last answer wins: what is under way is given up. */
  async ask() {
    clearTimeout(this.timer);
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const text = this.text.value;
    const [length, longest] = [[...text].length, Number(this.dataset.longest)];
    this.part("example").hidden = Boolean(text);
    if (length > longest) return this.say(this.fill(this.dataset.tLong, { n: length, m: longest }));
    if (!text) return this.show(this.sides.map(() => ({})));
    try {
      const answers = await Promise.all(this.sides.map((side) => fetched(side.dataset.url, text, asking.signal)));
      if (!asking.signal.aborted) this.show(answers);
    } catch (error) {
      if (error.name !== "AbortError") this.say(this.dataset.tLost);
    }
  }

  /** @param {{encoded?: object, sentence?: string}[]} answers  encoded: as the API gives it */
  show(answers) {
    this.say("");
    this.sides.forEach((side, at) => side.take(answers[at]));
    const most = Math.max(...this.sides.map((side) => side.steps));
    this.slider.max = most;
    this.part("merges").hidden = most === 0;
    this.step(most);
    this.count(answers.map((answer) => answer.encoded?.counts));
  }

  say(sentence) {
    this.part("error").textContent = sentence;
    this.text.toggleAttribute("aria-invalid", Boolean(sentence));
  }

  step(wanted) {
    const at = Math.max(0, Math.min(Number(this.slider.max), wanted));
    this.slider.value = at;
    for (const side of this.sides) {
      side.step(at);
      this.part(`rule-${side.dataset.side}`).textContent = this.ruleOf(side, Math.min(at, side.steps));
    }
    this.slider.setAttribute("aria-valuetext", this.part("rule-a").textContent);
  }

  ruleOf(side, at) {
    if (!side.steps) return this.dataset.tNone;
    if (!at) return this.fill(this.dataset.tBytes, { n: side.state.pieces.length });
    return this.fill(this.dataset.tMerge, { n: at, m: side.steps, ...side.rule(at) });
  }

  fill(words, values) {
    const said = (value) => (typeof value === "number" ? written(value) : value);
    return words.replace(/\{(\w+)\}/g, (_, name) => said(values[name]));
  }

  /** @param {(Record<string, number>|undefined)[]} counts */
  count(counts) {
    for (const row of this.querySelectorAll("[data-number]")) {
      const name = row.dataset.number;
      const values = counts.map((one) => (one?.tokens ? one[name] / (name === "tokens" ? 1 : one.tokens) : null));
      const digits = name === "tokens" ? 0 : 2;
      const write = (value, sign) => (value === null ? "–" : written(value, { digits, sign }));
      const known = values.every((value) => value !== null);
      const shown = values.map((value) => write(value, "auto"));
      if (values.length > 1) shown.push(write(known ? values[1] - values[0] : null, "always"));
      [...row.querySelectorAll("td")].forEach((cell, at) => (cell.textContent = shown[at]));
    }
  }

  /** On a phone one tokenizer at a time. */
  turn(event) {
    event.preventDefault();
    this.dataset.side = event.currentTarget.dataset.tab;
    for (const tab of this.querySelectorAll("[data-tab]")) {
      if (tab === event.currentTarget) tab.setAttribute("aria-current", "true");
      else tab.removeAttribute("aria-current");
    }
  }

  /** The address names the tokenizers, so that it can be shared; never the text. */
  remember() {
    const named = ["model", "with"].map((name) => [name, this.form.elements[name]?.value]).filter(([, value]) => value);
    if (named.length) history.replaceState(null, "", `?${new URLSearchParams(named)}`);
  }
}

/** One tokenizer's answer, or the sentence of its refusal. */
async function fetched(url, text, signal) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token(), Accept: "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ text }), signal });
  if (response.ok) return { encoded: await response.json() };
  if (signedOut(response) || response.status >= 500) throw new Error(String(response.status));
  return { sentence: (await response.json()).detail };
}

customElements.define("tokenizer-view", TokenizerView);

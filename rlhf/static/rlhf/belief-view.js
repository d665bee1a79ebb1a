// <belief-view>: the table of next words, while one slides the temperature and steps through checkpoints.
// The form and the links inside work without it: they show the page anew.

import { percent, tableOf } from "./beliefs.js";

const SVG = "http://www.w3.org/2000/svg";

class BeliefView extends HTMLElement {
  connectedCallback() {
    const { columns, steps, step, temperature } = JSON.parse(this.querySelector("script").textContent);
    this.columns = columns;
    this.state = { steps, at: steps.indexOf(step), temperature };
    this.slider = this.querySelector("[name=temperature]");
    this.listeners = [
      [this.slider, "input", () => this.show({ temperature: this.slider.valueAsNumber })],
      ...["earlier", "later"].map((name) => [this.part(name), "click", (event) => this.turn(event, name)]),
    ].filter(([target]) => target);
    this.listeners.forEach(([target, kind, listener]) => target.addEventListener(kind, listener));
  }

  disconnectedCallback() {
    this.listeners.forEach(([target, kind, listener]) => target.removeEventListener(kind, listener));
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  turn(event, name) {
    event.preventDefault();
    const at = this.state.at + (name === "later" ? 1 : -1);
    if (at >= 0 && at < this.state.steps.length) this.show({ at });
  }

  /** @param {{at?: number, temperature?: number}} change */
  show(change) {
    Object.assign(this.state, change);
    const { steps, at, temperature } = this.state;
    const shown = this.columns.filter(({ step }) => step === null || step === steps[at]);
    const { rows, others } = tableOf(shown, temperature);
    this.heads(shown);
    this.part("rows").replaceChildren(...rows.map(({ text, cells }) => row(text, cells)));
    [...this.part("others").querySelectorAll("td")].forEach((old, nth) => old.replaceWith(cell(others[nth], "share other")));
    this.part("temperature").textContent = temperature.toFixed(1);
    if (steps.length) this.part("step").textContent = steps[at].toLocaleString(document.documentElement.lang);
    this.remember();
  }

  heads(shown) {
    const [first, ...old] = this.part("heads").children;
    old.forEach((one) => one.remove());
    for (const { label, entropy } of shown) {
      const under = made("span", "under", entropy === null ? "" : this.dataset.tEntropy.replace("{n}", entropy.toFixed(2)));
      const head = made("th", "num", label);
      head.scope = "col";
      head.append(under);
      first.parentElement.append(head);
    }
  }

  /** The address names what is seen, so that it can be shared and a refresh keeps it; the links go on from there. */
  remember() {
    const { steps, at, temperature } = this.state;
    const here = new URL(location.href);
    here.searchParams.set("temperature", temperature.toFixed(1));
    if (steps.length) here.searchParams.set("step", steps[at]);
    history.replaceState(null, "", here);
    this.link("earlier", here, steps[at - 1]);
    this.link("later", here, steps[at + 1]);
  }

  link(name, here, step) {
    const link = this.part(name);
    if (!link) return;
    if (step === undefined) {
      link.removeAttribute("href");
      link.setAttribute("role", "link");
      link.setAttribute("aria-disabled", "true");
      return;
    }
    const there = new URL(here);
    there.searchParams.set("step", step);
    link.href = there.search;
    link.removeAttribute("role");
    link.removeAttribute("aria-disabled");
  }
}

function row(text, cells) {
  const element = made("tr", "");
  const head = made("th", "", "");
  head.scope = "row";
  head.append(made("bdi", "", text));
  element.append(head, ...cells.map((p) => cell(p, "share")));
  return element;
}

function cell(p, name) {
  const element = made("td", "num", percent(p));
  const bar = document.createElementNS(SVG, "svg");
  bar.setAttribute("class", name);
  bar.setAttribute("aria-hidden", "true");
  const length = document.createElementNS(SVG, "rect");
  length.setAttribute("width", `${(100 * (p ?? 0)).toFixed(2)}%`);
  length.setAttribute("height", "4");
  bar.append(length);
  element.append(bar);
  return element;
}

function made(tag, name, text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.textContent = text;
  return element;
}

customElements.define("belief-view", BeliefView);

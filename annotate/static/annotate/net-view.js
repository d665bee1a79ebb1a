// <net-view>: the network drawn. It places by percent, so that text keeps its size. Its other views come when one is asked
// for.

import { drawn } from "./build.js";
import { scene } from "./net-scene.js";
import { css, sign } from "./tinynet/colour.js";
import { fill } from "./words.js";

const WIDE = {
  ...{ width: 680, height: 400, radii: { input: 8, hidden: 8, option: 12 } },
  input: (at) => [40 + 20 * (at % 12), [70, 200, 330][Math.floor(at / 12)]],
  hidden: (at) => [390, 24 + 23.5 * at],
  option: (at) => [540, 65 + 90 * at],
  heads: [[32, 46, "left"], [32, 176, "right"], [32, 306, "context"], [362, 10, "hidden"], [518, 10, "options"]],
  label: { dx: 20, dy: 5 },
};
const TALL = {
  ...{ width: 328, height: 300, radii: { input: 8, hidden: 11, option: 12 } },
  input: (at) => [21 + 26 * (at % 12), [24, 60, 96][Math.floor(at / 12)]],
  hidden: (at) => [24 + 40 * (at % 8), at < 8 ? 150 : 190],
  option: (at) => [41 + 82 * at, 246],
  heads: [[8, 12, "left"], [8, 48, "right"], [8, 84, "context"], [8, 132, "hidden"], [8, 226, "options"]],
  label: { dx: 0, dy: 28, "text-anchor": "middle" },
};
const LETTERS = { slim: 6, tall: 9 }; // of a word that has room beside three others; the buttons name it whole
const LEAST_INK = 0.8; // from here on a sign is white on its node

class NetView extends HTMLElement {
  connectedCallback() {
    this.wide = matchMedia("(min-width: 768px)");
    this.slim = matchMedia("(max-width: 400px)");
    this.turned = () => this.lay();
    this.wide.addEventListener("change", this.turned);
    for (const button of this.querySelectorAll("[data-view]")) button.addEventListener("click", () => this.choose(button.dataset.view));
    this.lay();
  }

  disconnectedCallback() {
    this.wide.removeEventListener("change", this.turned);
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  /** @param {string} [view] without one the next */
  async choose(view) {
    this.views ??= await import("./net-views.js");
    this.views.choose(this, view);
  }

  /** loading, failed or ready. */
  say(state) {
    this.dataset.state = state;
    for (const name of ["loading", "failed"]) this.part(name).hidden = state !== name;
  }

  /** The nodes, white, where this width has them. */
  lay() {
    const plan = this.wide.matches ? WIDE : TALL;
    this.plan = plan;
    this.svg = drawn("svg", { role: "img", width: "100%", height: plan.height, "aria-label": this.dataset.tSummary });
    this.lines = drawn("g", {});
    this.svg.append(this.lines);
    for (const [x, y, name] of plan.heads) {
      const head = drawn("text", { x: this.across(x), y });
      head.textContent = this.dataset[`t${name[0].toUpperCase()}${name.slice(1)}`];
      this.svg.append(head);
    }
    const layer = (kind, count) => Array.from({ length: count }, (_, at) => this.node(kind, at));
    this.nodes = { input: layer("input", 36), hidden: layer("hidden", 16), option: layer("option", 4) };
    this.labels = this.nodes.option.map((_, at) => this.label(at));
    this.edges = new Map();
    this.part("drawing").replaceChildren(this.svg);
    if (this.given) this.draw();
  }

  across(x) {
    return `${((100 * x) / this.plan.width).toFixed(2)}%`;
  }

  node(kind, at) {
    const [x, y] = this.plan[kind](at);
    const circle = drawn("circle", { cx: this.across(x), cy: y, r: this.plan.radii[kind], fill: css(0), class: "node" });
    const mark = drawn("text", { x: this.across(x), y, dy: 4.5, "text-anchor": "middle", class: "sign" });
    this.svg.append(circle, mark);
    return { circle, mark };
  }

  label(at) {
    const [x, y] = this.plan.option(at);
    const word = drawn("text", { x: this.across(x), y, class: "word", ...this.plan.label });
    const seen = drawn("text", { x: this.across(x), y: y + 17, ...this.plan.label });
    this.svg.append(word, seen);
    return { word, seen };
  }

  /** @param {object|null} given null: the network is away, and nothing is drawn but the words */
  show(given) {
    this.given = given;
    this.draw();
  }

  draw() {
    if (this.views) this.views.draw(this);
    else if (this.given?.net) this.paint(scene(this.given));
  }

  /** @param {import("./net-scene.js").Scene} scene @param {string} [summary] */
  paint({ edges, ...values }, summary = this.dataset.tSummary, told = this.given.answered) {
    const { given } = this;
    for (const [kind, all] of Object.entries(values)) all.forEach((value, at) => this.colour(this.nodes[kind][at], value));
    this.connect(edges);
    this.labels.forEach(({ word, seen }, at) => {
      word.textContent = this.short(given.words[at]);
      const times = told ? given.pass.example.context.filter((id) => id === given.options[at]).length : 0;
      seen.textContent = times ? fill(this.dataset.tSeen, { n: times }) : "";
    });
    this.svg.setAttribute("aria-label", summary);
  }

  short(word) {
    const most = this.slim.matches ? LETTERS.slim : LETTERS.tall;
    return this.wide.matches || word.length <= most ? word : `${word.slice(0, most - 1)}…`;
  }

  colour({ circle, mark }, value) {
    circle.setAttribute("fill", css(value));
    mark.textContent = sign(value);
    mark.classList.toggle("ink", Math.abs(value) > LEAST_INK);
  }

  connect(edges) {
    const old = this.edges;
    this.edges = new Map();
    for (const { kind, from, to, v } of edges) {
      const name = `${kind} ${from} ${to}`;
      const line = old.get(name) ?? this.line(kind, from, to);
      old.delete(name);
      line.setAttribute("stroke", css(v));
      line.setAttribute("stroke-width", (0.5 + 3.5 * Math.abs(v)).toFixed(2));
      line.setAttribute("stroke-opacity", (0.15 + 0.85 * Math.abs(v)).toFixed(2));
      this.edges.set(name, line);
    }
    for (const line of old.values()) line.remove();
  }

  line(kind, from, to) {
    const [x1, y1] = this.plan[kind === "option" ? "hidden" : "input"](from);
    const [x2, y2] = this.plan[kind === "hidden" ? "hidden" : "option"](to);
    const dashed = kind === "pull" && { "stroke-dasharray": "5 4" };
    const line = drawn("line", { x1: this.across(x1), y1, x2: this.across(x2), y2, ...dashed });
    this.lines.append(line);
    return line;
  }
}

customElements.define("net-view", NetView);

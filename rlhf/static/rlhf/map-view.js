// <map-view>: the map as a picture beside its list of true neighbours. Without it the form and the list are the page.

import { counted, made, percent } from "../annotate/build.js";
import { fill } from "../annotate/words.js";
import { MapCanvas } from "./map-canvas.js";
import { grouped, hit, matching, moved, NEAREST, towards, zoomed } from "./map-scene.js";
import { Fingers } from "./map-fingers.js";

const MATCHES = 12;
const LISTED = 10;
const STEP = 1.4; // of a zoom
const PAN = 60; // pixels of an arrow key
const ARROWS = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };

class MapView extends HTMLElement {
  connectedCallback() {
    this.facts = JSON.parse(this.querySelector("script[type='application/json']").textContent);
    this.state = { layout: "pca", chosen: false, at: this.facts.states.length - 1, place: -1, near: [], marked: -1, hovered: -1 };
    this.view = { x: 0, y: 0, zoom: 1, size: 0 };
    this.pictures = new Map();
    this.ending = new AbortController();
    this.listen();
    this.start();
  }

  disconnectedCallback() {
    this.ending.abort();
    this.sizes?.disconnect();
    cancelAnimationFrame(this.frame);
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  /** The picture comes when its first layout is there; until then, and where it fails, the list is the page. */
  async start() {
    try {
      this.labels = (await this.fetched(this.facts.labels).then((answer) => answer.json())).labels;
      this.folded = this.labels.map((label) => label.text.toLowerCase());
      await this.picture("pca");
      this.show();
      await this.picture("tsne");
      if (!this.state.chosen) this.choose("tsne");
    } catch (error) {
      if (error.name !== "AbortError") this.say(this.canvas ? "kept" : "none", this.dataset.tLost);
    }
  }

  show() {
    this.part("picture").hidden = false;
    this.canvas = new MapCanvas(this.part("canvas"));
    this.canvas.dress();
    this.sizes = new ResizeObserver(() => this.fit());
    this.sizes.observe(this.part("canvas"));
    this.fit();
    this.colour();
    this.tell();
    const { place } = this.part("point").dataset;
    if (place !== undefined) this.pick(Number(place), { quiet: true });
  }

  listen() {
    const { signal } = this.ending;
    const on = (target, kind, listener, more = {}) => target.addEventListener(kind, listener, { signal, ...more });
    const press = (name, act) => this.part(name) && on(this.part(name), "click", act);
    press("in", () => this.zoom(STEP));
    press("out", () => this.zoom(1 / STEP));
    press("whole", () => this.look({ ...this.view, x: 0, y: 0, zoom: 1 }));
    press("next", () => this.mark());
    press("earlier", () => this.turn(this.state.at - 1));
    press("later", () => this.turn(this.state.at + 1));
    if (this.part("slider")) on(this.part("slider"), "input", () => this.turn(this.part("slider").valueAsNumber));
    for (const one of this.querySelectorAll("[data-layout]")) on(one, "click", () => this.choose(one.dataset.layout, { by: true }));
    on(this.part("colour"), "change", () => this.colour());
    on(this, "click", (event) => this.follow(event));
    const form = this.querySelector("form");
    on(form.elements.q, "input", () => this.find());
    on(form, "submit", (event) => this.submit(event));
    if (form.elements.run.type !== "hidden") on(form.elements.run, "change", () => form.submit());
    on(document, "key", (event) => this.key(event.detail.name));
    on(this.part("canvas"), "keydown", (event) => this.arrow(event));
    on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.dressed());
    this.fingers = new Fingers(this.part("canvas"), on, {
      move: (right, down) => this.look(moved(this.view, right, down)),
      zoom: (factor, x, y) => this.look(zoomed(this.view, factor, x, y)),
      tap: (x, y) => this.tap(x, y),
      over: (x, y) => this.hover(x, y),
      zoomable: (factor) => factor > 1 || this.view.zoom > 1,
    });
  }

  // the picture

  get points() {
    return this.pictures.get(`${this.state.layout} ${this.facts.states[this.state.at].step}`);
  }

  async fetched(url) {
    const response = await fetch(url, { signal: this.ending.signal });
    if (!response.ok) throw new Error(String(response.status));
    return response;
  }

  /** Fetches a picture of the state that is shown, once. */
  async picture(layout, at = this.state.at) {
    const { step } = this.facts.states[at];
    const name = `${layout} ${step}`;
    if (this.pictures.has(name)) return;
    const answer = await this.fetched(`${this.facts.points}?step=${step}&layout=${layout}`);
    this.pictures.set(name, floats(await answer.arrayBuffer()));
  }

  fit() {
    const size = this.canvas.fit();
    this.look({ ...this.view, size });
  }

  dressed() {
    this.canvas?.dress();
    this.colour();
  }

  look(view) {
    this.view = view;
    this.part("out").setAttribute("aria-disabled", String(view.zoom === 1));
    this.part("in").setAttribute("aria-disabled", String(view.zoom === NEAREST));
    this.redraw();
  }

  redraw() {
    if (!this.canvas || this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const { place, near, marked, hovered } = this.state;
    const { points, labels, groups, view } = this;
    if (points) this.canvas.draw({ points, labels, groups, view, picked: place, lines: near, marked, hovered });
  }

  zoom(factor) {
    const at = this.position(this.state.place);
    this.look(zoomed(this.view, factor));
    if (at && factor > 1) this.look(towards(this.view, ...at));
  }

  /** Where a point lies in the picture that is shown, or null. */
  position(place) {
    const { points } = this;
    return place >= 0 && points && 2 * place < points.length ? [points[2 * place], points[2 * place + 1]] : null;
  }

  async choose(layout, { by = false } = {}) {
    this.state.chosen ||= by;
    this.state.wanted = layout;
    if (await this.ready(layout, this.state.at)) {
      if (this.state.wanted !== layout) return;
      this.state.layout = layout;
      this.tell();
    }
  }

  async turn(at) {
    if (at < 0 || at >= this.facts.states.length || !this.canvas) return;
    this.part("slider").value = at;
    this.state.turning = at;
    if (await this.ready(this.state.layout, at)) {
      if (this.state.turning !== at) return;
      this.state.at = at;
      this.tell();
      this.announce();
    }
  }

  async ready(layout, at) {
    try {
      await this.picture(layout, at);
      return true;
    } catch (error) {
      if (error.name !== "AbortError") this.say("kept", this.dataset.tLost);
      return false;
    }
  }

  /** Whatever is said about the picture that is shown. */
  tell() {
    const { layout, at } = this.state;
    const state = this.facts.states[at];
    const last = at === this.facts.states.length - 1;
    const words = last ? this.dataset.tKept : this.dataset.tKeptThen;
    this.say("kept", fill(words, { n: percent(state.kept[layout]), state: state.name }));
    for (const one of this.querySelectorAll("[data-layout]")) {
      one.setAttribute("aria-pressed", String(one.dataset.layout === layout));
    }
    this.part("canvas").setAttribute(
      "aria-label",
      fill(this.dataset.tPicture, { n: counted(this.points.length / 2), state: state.name }),
    );
    if (this.part("slider")) {
      this.part("slider").setAttribute("aria-valuetext", state.name);
      this.say("state", state.name);
      this.say("gap", state.gap);
    }
    this.redraw();
  }

  colour() {
    if (!this.labels || !this.canvas) return;
    const by = this.part("colour").value;
    this.groups = grouped(this.labels, by, { other: this.dataset.tOther, unnamed: this.dataset.tUnnamed });
    const ends = this.facts.kind === "documents" ? ["tLong", "tShort"] : ["tFrequent", "tRare"];
    const names = this.groups.ordered ? ends.map((one) => this.dataset[one]) : this.groups.names;
    this.part("legend").replaceChildren(...names.map((name, at) => this.entry(name, at)));
    this.redraw();
  }

  /** An entry of the legend: a dot in its colour, and the name. */
  entry(name, at) {
    const dot = made("i", { "aria-hidden": "true" });
    dot.style.setProperty("background", this.canvas.colorOf(this.groups, at));
    if (this.groups.ordered && at) dot.style.setProperty("opacity", "0.4");
    return made("li", {}, dot, name);
  }

  // one point

  /** Picks a point: its list, its lines, and an address of its own. */
  async pick(place, { quiet = false } = {}) {
    if (!this.labels?.[place]) return;
    this.state.wish = place;
    let found;
    try {
      found = await this.fetched(`${this.facts.neighbours}${place}`).then((answer) => answer.json());
    } catch (error) {
      if (error.name !== "AbortError") this.say("none", this.dataset.tLost);
      return;
    }
    if (this.state.wish !== place) return;
    const near = found.neighbours.slice(0, LISTED);
    Object.assign(this.state, { place, near: near.map((one) => one.place), marked: -1 });
    this.part("next").hidden = false;
    if (!quiet) this.fillIn(found, near);
    const at = this.position(place);
    if (at && this.canvas) this.look(towards(this.view, ...at));
    this.redraw();
    if (quiet) return;
    history.replaceState(null, "", this.address(place));
    this.announce();
  }

  fillIn(found, near) {
    this.say("text", found.text);
    this.say("count", counted(found.count));
    this.say("source", found.source || "–");
    this.say("language", found.language || "–");
    this.part("near").replaceChildren(...near.map((one) => this.row(one.place, one.cosine.toFixed(2))));
    this.part("point").hidden = false;
    this.part("point").dataset.place = found.place;
  }

  /** What a person who does not see the picture is told. */
  announce() {
    const { place, near } = this.state;
    if (place < 0) return;
    const all = near.map((one) => this.labels[one].text).join(", ");
    const absent = this.position(place) ? "" : `${fill(this.dataset.tAbsent, { word: this.labels[place].text })} `;
    this.say("said", absent + fill(this.dataset.tPicked, { word: this.labels[place].text, all }));
  }

  address(place) {
    return `?${new URLSearchParams({ run: this.facts.run, point: place })}`;
  }

  row(place, cosine) {
    const link = made("a", { href: this.address(place), "data-place": place }, made("bdi", {}, this.labels[place].text));
    return cosine === undefined ? made("li", {}, link) : made("li", {}, link, " ", made("span", { class: "num" }, cosine));
  }

  /** Marks the next neighbour of the picked point; with none picked, the most frequent points in turn. */
  mark() {
    const { near, marked, place } = this.state;
    if (!this.canvas) return;
    const among = place < 0 ? this.folded.slice(0, LISTED).map((_, at) => at) : near;
    const next = (among.indexOf(marked) + 1) % among.length;
    this.state.marked = among[next];
    const at = this.position(among[next]);
    if (at) this.look(towards(this.view, ...at));
    const word = this.labels[among[next]].text;
    this.say("said", fill(this.dataset.tMarked, { n: next + 1, m: among.length, word }));
    for (const link of this.part("near").querySelectorAll("a")) {
      link.toggleAttribute("data-marked", Number(link.dataset.place) === among[next]);
    }
    this.redraw();
  }

  // what people do

  key(name) {
    if (name === "/") this.querySelector("form").elements.q.focus();
    else if (name === "N") this.mark();
    else if (name === "V") this.choose(this.state.layout === "pca" ? "tsne" : "pca", { by: true });
    else if (name === "Enter" && this.state.marked >= 0) this.pick(this.state.marked);
  }

  /** @param {KeyboardEvent} event */
  arrow(event) {
    const move = ARROWS[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.look(moved(this.view, ...move));
  }

  tap(x, y) {
    const found = this.points ? hit(this.points, this.view, x, y) : -1;
    if (found >= 0) this.pick(found);
  }

  hover(x, y) {
    const found = this.points && x !== null ? hit(this.points, this.view, x, y) : -1;
    if (found === this.state.hovered) return;
    this.state.hovered = found;
    this.part("canvas").classList.toggle("over", found >= 0);
    this.redraw();
  }

  /** A link to a point stays on the page. @param {MouseEvent} event */
  follow(event) {
    const link = event.target.closest("a[data-place]");
    if (!link || !this.labels || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.pick(Number(link.dataset.place));
    if (link.closest("[data-part=near]")) this.part("text").focus(); // the list is written anew
  }

  /** What fits what is typed, as it is typed. */
  find() {
    if (!this.labels) return [];
    const { value } = this.querySelector("form").elements.q;
    const places = matching(this.folded, value, MATCHES);
    this.part("matches").replaceChildren(...places.map((place) => this.row(place)));
    this.part("matches").hidden = !places.length;
    this.say("none", value.trim() && !places.length ? this.dataset.tNone : "");
    return places;
  }

  submit(event) {
    if (!this.labels) return;
    event.preventDefault();
    const [first] = this.find();
    if (first !== undefined) this.pick(first);
  }

  say(name, text) {
    const part = this.part(name);
    if (part && part.textContent !== text) part.textContent = text;
  }
}

/** Bytes as the numbers that the run wrote: little-endian, whatever this machine is. @param {ArrayBuffer} buffer */
function floats(buffer) {
  const view = new DataView(buffer);
  return Float32Array.from({ length: buffer.byteLength / 4 }, (_, at) => view.getFloat32(4 * at, true));
}

customElements.define("map-view", MapView);

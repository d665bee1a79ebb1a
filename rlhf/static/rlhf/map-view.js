// <map-view>: the map as a picture beside its list of true neighbours. Without it the form and the list are the page.

import { counted, made, percent } from "../annotate/build.js";
import { fill } from "../annotate/words.js";
import { Fingers } from "./map-fingers.js";
import { MapList } from "./map-list.js";
import { MapPicture } from "./map-picture.js";
import { NEAREST } from "./map-scene.js";

const STEP = 1.4; // of a zoom

class MapView extends HTMLElement {
  connectedCallback() {
    this.facts = JSON.parse(this.querySelector("script[type='application/json']").textContent);
    this.form = this.querySelector("form");
    this.ending = new AbortController();
    this.start().catch((error) => this.fail(error));
  }

  disconnectedCallback() {
    this.ending.abort();
    this.picture?.end();
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  say(name, text) {
    const part = this.part(name);
    if (part && part.textContent !== text) part.textContent = text;
  }

  fail(error) {
    if (error.name !== "AbortError") this.say(this.picture ? "kept" : "none", this.dataset.tLost);
  }

  async fetched(url) {
    const response = await fetch(url, { signal: this.ending.signal });
    if (!response.ok) throw new Error(String(response.status));
    return response;
  }

  /** PCA first, which is there at once in any browser; t-SNE when it comes, unless one has chosen meanwhile. */
  async start() {
    const { labels } = await (await this.fetched(this.facts.labels)).json();
    const picture = new MapPicture(this.part("canvas"), {
      url: this.facts.points,
      states: this.facts.states,
      labels,
      fetched: (url) => this.fetched(url),
      looked: (zoom) => this.looked(zoom),
    });
    await picture.show("pca", picture.at);
    this.picture = picture;
    this.list = new MapList(picture, {
      part: (name) => this.part(name),
      say: (name, text) => this.say(name, text),
      words: this.dataset,
      fetched: (url) => this.fetched(url),
      facts: this.facts,
    });
    this.part("picture").hidden = false;
    this.listen();
    this.colour();
    this.tell();
    const { place } = this.part("point").dataset;
    if (place) this.pick(Number(place), { written: true });
    if (!this.chosen) await this.choose("tsne");
  }

  listen() {
    const { signal } = this.ending;
    const on = (target, kind, listener, more = {}) => target?.addEventListener(kind, listener, { signal, ...more });
    const { picture } = this;
    on(this.part("in"), "click", () => picture.zoom(STEP));
    on(this.part("out"), "click", () => picture.zoom(1 / STEP));
    on(this.part("whole"), "click", () => picture.whole());
    on(this.part("next"), "click", () => this.list.mark());
    on(this.part("earlier"), "click", () => this.turn(Number(this.part("slider").value) - 1));
    on(this.part("later"), "click", () => this.turn(Number(this.part("slider").value) + 1));
    on(this.part("slider"), "input", () => this.turn(Number(this.part("slider").value)));
    on(this.part("colour"), "change", () => this.colour());
    on(this, "click", (event) => this.follow(event));
    on(this.form.elements.q, "input", () => this.list.find(this.form.elements.q.value));
    on(this.form, "submit", (event) => this.submit(event));
    on(document, "key", (event) => this.key(event.detail.name));
    on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.colour());
    for (const one of this.querySelectorAll("[data-layout]")) on(one, "click", () => this.choose(one.dataset.layout, { by: true }));
    this.fingers = new Fingers(this.part("canvas"), on, {
      move: (right, down) => picture.move(right, down),
      zoom: (factor, x, y) => picture.zoom(factor, x, y),
      zoomable: (factor) => factor > 1 || picture.view.zoom > 1,
      tap: (x, y) => this.pick(picture.hit(x, y)),
      over: (x, y) => this.hover(x === null ? -1 : picture.hit(x, y)),
    });
  }

  // the picture

  choose(layout, { by = false } = {}) {
    this.chosen ||= by;
    return this.show(layout, this.picture.at);
  }

  async turn(at) {
    if (!this.facts.states[at]) return;
    this.part("slider").value = at;
    if (await this.show(this.picture.layout, at)) this.list.announce();
  }

  async show(layout, at) {
    try {
      const shown = await this.picture.show(layout, at);
      if (shown) this.tell();
      return shown;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  /** Whatever is said about the picture that is shown. */
  tell() {
    const { layout, at, count } = this.picture;
    const state = this.facts.states[at];
    const last = at === this.facts.states.length - 1;
    this.say("kept", fill(last ? this.dataset.tKept : this.dataset.tKeptThen, { n: percent(state.kept[layout]), state: state.name }));
    for (const one of this.querySelectorAll("[data-layout]")) {
      one.setAttribute("aria-pressed", String(one.dataset.layout === layout));
    }
    const name = fill(this.dataset.tPicture, { n: counted(count), state: state.name });
    this.part("canvas").setAttribute("aria-label", name);
    this.part("slider")?.setAttribute("aria-valuetext", state.name);
    this.say("state", state.name);
    this.say("gap", state.gap);
  }

  looked(zoom) {
    this.part("out").setAttribute("aria-disabled", String(zoom === 1));
    this.part("in").setAttribute("aria-disabled", String(zoom === NEAREST));
  }

  colour() {
    const words = { other: this.dataset.tOther, unnamed: this.dataset.tUnnamed };
    const { names, ordered } = this.picture.colour(this.part("colour").value, words);
    const ends = this.facts.kind === "documents" ? ["tLong", "tShort"] : ["tFrequent", "tRare"];
    const said = ordered ? ends.map((one) => this.dataset[one]) : names;
    this.part("legend").replaceChildren(...this.picture.legend(said));
  }

  hover(place) {
    if (place === this.picture.scene.hovered) return;
    this.part("canvas").classList.toggle("over", place >= 0);
    this.picture.set({ hovered: place });
  }

  async pick(place, how) {
    try {
      await this.list.pick(place, how);
    } catch (error) {
      this.fail(error);
    }
  }

  // what people do

  key(name) {
    if (name === "/") this.form.elements.q.focus();
    else if (name === "N") this.list.mark();
    else if (name === "V") this.choose(this.picture.layout === "pca" ? "tsne" : "pca", { by: true });
    else if (name === "Enter") this.pick(this.picture.scene.marked);
  }

  /** A link to a point stays on the page. @param {MouseEvent} event */
  follow(event) {
    const link = event.target.closest("a[data-place]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.pick(Number(link.dataset.place));
    this.part("text").focus(); // the list, and with it the link, is written anew
  }

  submit(event) {
    const { run, q } = this.form.elements;
    if (run.value !== this.facts.run) return; // another map is another page
    event.preventDefault();
    this.pick(this.list.find(q.value)[0]);
  }
}

customElements.define("map-view", MapView);

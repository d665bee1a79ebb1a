// The picture of a map: which one is shown, through which window, and what is marked in it.

import { made } from "../annotate/build.js";
import { MapCanvas } from "./map-canvas.js";
import { grouped, hit, moved, towards, zoomed } from "./map-scene.js";

export class MapPicture {
  /**
   * @param {HTMLCanvasElement} element
   * @param {{url: string, states: {step: number}[], labels: import("./map-scene.js").Label[],
   *   fetched: (url: string) => Promise<Response>, looked: (zoom: number) => void}} given
   */
  constructor(element, { url, states, labels, fetched, looked }) {
    Object.assign(this, { url, states, fetched, looked });
    this.canvas = new MapCanvas(element);
    /** @type {Map<string, Float32Array>} */
    this.known = new Map();
    this.layout = "pca";
    this.at = states.length - 1;
    const view = { x: 0, y: 0, zoom: 1, size: 0 };
    /** @type {import("./map-canvas.js").Scene} */
    this.scene = { points: null, labels, groups: null, view, picked: -1, lines: [], marked: -1, hovered: -1 };
    this.sizes = new ResizeObserver(() => this.fit());
    this.sizes.observe(element);
  }

  end() {
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
  }

  /** Shows a layout of a state; false where another one was asked for meanwhile. It is fetched once. */
  async show(layout, at) {
    const wanted = (this.wanted = `${layout} ${at}`);
    if (!this.known.has(wanted)) {
      const answer = await this.fetched(`${this.url}?step=${this.states[at].step}&layout=${layout}`);
      this.known.set(wanted, floats(await answer.arrayBuffer()));
    }
    if (this.wanted !== wanted) return false;
    Object.assign(this, { layout, at });
    this.set({ points: this.known.get(wanted) });
    return true;
  }

  /** @param {Partial<import("./map-canvas.js").Scene>} changed */
  set(changed) {
    Object.assign(this.scene, changed);
    this.redraw();
  }

  get view() {
    return this.scene.view;
  }

  /** How many points there are in the picture that is shown. */
  get count() {
    return (this.scene.points?.length ?? 0) / 2;
  }

  fit() {
    const size = this.canvas.fit();
    if (size) this.look({ ...this.view, size });
  }

  /** Colours by something of the labels, in the page's colours as they are now. */
  colour(by, words) {
    this.canvas.dress();
    this.set({ groups: grouped(this.scene.labels, by, words) });
    return this.scene.groups;
  }

  /** Entries of the legend: a dot in its colour, and the name. @param {string[]} names */
  legend(names) {
    const { groups } = this.scene;
    return names.map((name, at) => {
      const dot = made("i", { "aria-hidden": "true" });
      dot.style.setProperty("background", this.canvas.colorOf(groups, at));
      if (groups.ordered && at) dot.style.setProperty("opacity", "0.4");
      return made("li", {}, dot, name);
    });
  }

  look(view) {
    this.looked(view.zoom);
    this.set({ view });
  }

  move(right, down) {
    this.look(moved(this.view, right, down));
  }

  /** About a pixel, or else about the picked point where there is one. */
  zoom(factor, x, y) {
    this.look(zoomed(this.view, factor, x, y));
    if (x === undefined && factor > 1) this.seek(this.scene.picked);
  }

  whole() {
    this.look({ ...this.view, x: 0, y: 0, zoom: 1 });
  }

  /** Brings a point into sight. */
  seek(place) {
    const at = this.position(place);
    if (at) this.look(towards(this.view, ...at));
  }

  /** Where a point lies in the picture that is shown, or null. */
  position(place) {
    const { points } = this.scene;
    return place >= 0 && place < this.count ? [points[2 * place], points[2 * place + 1]] : null;
  }

  hit(x, y) {
    return this.scene.points ? hit(this.scene.points, this.view, x, y) : -1;
  }

  redraw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    if (this.scene.points && this.scene.groups && this.view.size) this.canvas.draw(this.scene);
  }
}

/** Bytes as the numbers that the run wrote: little-endian, whatever this machine is. @param {ArrayBuffer} buffer */
function floats(buffer) {
  const view = new DataView(buffer);
  return Float32Array.from({ length: buffer.byteLength / 4 }, (_, at) => view.getFloat32(4 * at, true));
}

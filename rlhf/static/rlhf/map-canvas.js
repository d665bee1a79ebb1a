// Draws a map on a canvas: points, names, and lines from the picked point to its true neighbours.

import { GROUPS, named, scaleOf, toScreen } from "./map-scene.js";

const FADED = [1, 0.85, 0.7, 0.58, 0.48, 0.4]; // from frequent to rare
const MOST_NAMES = 50;

/**
 * points: two numbers a point. lines: places of the true neighbours. marked: the one that a key would pick, or -1.
 * @typedef {{
 *   points: Float32Array, labels: import("./map-scene.js").Label[], groups: import("./map-scene.js").Groups,
 *   view: import("./map-scene.js").View, picked: number, lines: number[], marked: number, hovered: number,
 * }} Scene
 */

export class MapCanvas {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.mixer = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    /** @type {Map<number, number>} */
    this.widths = new Map();
    this.orders = new WeakMap();
  }

  /** Takes the size that the page gives it; returns it, in pixels of the page: 0 while it is hidden. */
  fit() {
    const size = this.canvas.clientWidth;
    const dense = Math.min(2, devicePixelRatio || 1);
    if (size && this.canvas.width !== Math.round(size * dense)) {
      this.canvas.width = this.canvas.height = Math.round(size * dense);
      this.context.setTransform(dense, 0, 0, dense, 0, 0);
      this.image = this.context.createImageData(this.canvas.width, this.canvas.height);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    return size;
  }

  /** The page's colours, as a canvas takes them. */
  dress() {
    const probe = this.canvas.parentElement.appendChild(document.createElement("i"));
    probe.hidden = true;
    const color = (name) => {
      probe.style.setProperty("color", `var(${name})`);
      return getComputedStyle(probe).color;
    };
    const series = Array.from({ length: GROUPS }, (_, at) => color(`--series-${at + 1}`));
    const names = { ground: "--surface", text: "--text", accent: "--accent", line: "--series-2" };
    this.colors = { series, ...Object.fromEntries(Object.entries(names).map(([name, one]) => [name, color(one)])) };
    this.ground = this.mixed(this.colors.ground);
    this.inks = series.map((one) => this.mixed(one));
    this.faded = FADED.map((share) => this.mixed(series[0], share));
    this.font = `13px ${getComputedStyle(this.canvas).fontFamily}`;
    this.widths.clear();
    probe.remove();
  }

  /** A colour over the ground, as a pixel of an image. */
  mixed(color, share = 1) {
    const { mixer } = this;
    mixer.globalAlpha = 1;
    mixer.fillStyle = this.colors.ground;
    mixer.fillRect(0, 0, 1, 1);
    mixer.globalAlpha = share;
    mixer.fillStyle = color;
    mixer.fillRect(0, 0, 1, 1);
    return new Uint32Array(mixer.getImageData(0, 0, 1, 1).data.buffer)[0];
  }

  /** The colour of a group. @param {import("./map-scene.js").Groups} groups */
  colorOf(groups, group) {
    return groups.ordered ? this.colors.series[0] : this.colors.series[group];
  }

  /** @param {Scene} scene */
  draw(scene) {
    this.dots(scene);
    this.context.putImageData(this.image, 0, 0);
    if (scene.picked >= 0 && 2 * scene.picked < scene.points.length) this.lines(scene);
    this.names(scene);
  }

  /** Into the image's own pixels: 20,000 rectangles of the canvas would take 20 ms. */
  dots({ points, groups, view }) {
    const { pixels, image } = this;
    const dense = image.width / view.size;
    const scale = scaleOf(view) * dense;
    const width = Math.max(1, Math.round(dotOf(points.length / 2, view) * dense));
    const shape = disc(width);
    const [left, top] = [image.width / 2 - view.x * scale - width / 2, image.width / 2 + view.y * scale - width / 2];
    const most = image.width - width;
    const order = this.order(groups, points.length / 2);
    pixels.fill(this.ground);
    for (let group = GROUPS - 1; group >= 0; group -= 1) {
      const ink = (groups.ordered ? this.faded : this.inks)[group];
      for (const place of order[group]) {
        const x = Math.round(left + points[2 * place] * scale);
        const y = Math.round(top - points[2 * place + 1] * scale);
        if (x < 0 || y < 0 || x > most || y > most) continue;
        for (let row = 0; row < width; row += 1) {
          const inset = shape[row];
          const end = (y + row) * image.width + x + width - inset;
          for (let at = (y + row) * image.width + x + inset; at < end; at += 1) pixels[at] = ink;
        }
      }
    }
  }

  /** The places of each group among the first `count`, so that a colour is set once. */
  order(groups, count) {
    const known = this.orders.get(groups);
    if (known?.count === count) return known.places;
    const places = Array.from({ length: GROUPS }, () => []);
    for (let place = 0; place < count; place += 1) places[groups.of[place]].push(place);
    this.orders.set(groups, { count, places });
    return places;
  }

  lines({ points, view, picked, lines, marked }) {
    const { context, colors } = this;
    const [fromX, fromY] = toScreen(view, points[2 * picked], points[2 * picked + 1]);
    for (const place of lines) {
      if (2 * place >= points.length) continue;
      const [x, y] = toScreen(view, points[2 * place], points[2 * place + 1]);
      context.strokeStyle = context.fillStyle = colors.line;
      context.lineWidth = place === marked ? 3 : 1.5;
      context.beginPath();
      context.moveTo(fromX, fromY);
      context.lineTo(x, y);
      context.stroke();
      this.spot(x, y, place === marked ? 6 : 4);
    }
    context.fillStyle = colors.text;
    this.spot(fromX, fromY, 6);
  }

  spot(x, y, radius) {
    const { context } = this;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    context.strokeStyle = this.colors.ground;
    context.lineWidth = 1.5;
    context.stroke();
  }

  names({ points, labels, view, picked, lines, marked, hovered }) {
    const { context, colors } = this;
    const first = [picked, marked, hovered, ...lines].filter((one) => one >= 0);
    context.font = this.font;
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 3;
    context.strokeStyle = colors.ground;
    context.fillStyle = colors.text;
    const most = Math.round((MOST_NAMES * Math.min(1, view.size / 760)) * (view.size < 500 ? 0.7 : 1));
    const found = named(points, view, (place) => this.widthOf(labels, place), [...new Set(first)], most);
    for (const [place, x, y] of found) {
      const text = shortened(labels[place].text);
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    }
  }

  widthOf(labels, place) {
    let width = this.widths.get(place);
    if (width === undefined) this.widths.set(place, (width = this.context.measureText(shortened(labels[place].text)).width));
    return width;
  }
}

/** How far each row of a disc stands in from its square. @param {number} width in pixels */
function disc(width) {
  const radius = width / 2;
  const half = (row) => Math.sqrt(Math.max(0, radius ** 2 - (row + 0.5 - radius) ** 2));
  return Array.from({ length: width }, (_, row) => (width < 4 ? 0 : Math.round(radius - half(row))));
}

/** Few points are drawn large, and all grow as one looks closer. */
function dotOf(count, { zoom, size }) {
  const base = count > 8_000 ? 2 : count > 1_500 ? 3 : 4.5;
  return Math.min(8, base * Math.max(0.75, Math.min(1, size / 600)) * zoom ** 0.3);
}

/** A document's beginning is cut to what fits on a map. */
function shortened(text) {
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}

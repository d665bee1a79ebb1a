// What a map looks like through a window on it: where points fall, which is hit, which names fit. Pure: no DOM.

/**
 * x, y: of the middle, in the map's own [-1, 1], y upwards. zoom: 1 shows all. size: of the square, in pixels.
 * @typedef {{x: number, y: number, zoom: number, size: number}} View
 * @typedef {{text: string, count: number, source: string, language: string}} Label
 * @typedef {{names: string[], of: Uint8Array, ordered: boolean}} Groups  ordered: from much to little
 */

const EDGE = 0.94; // of the square is the map's at zoom 1
export const NEAREST = 64;
export const GROUPS = 6;
const CANDIDATES = 1_500;
const LINE = 16; // height of a name
const BETWEEN = 3;

/** Pixels a unit of the map. @param {View} view */
export function scaleOf({ zoom, size }) {
  return (zoom * size * EDGE) / 2;
}

/** @param {View} view @returns {[number, number]} pixels */
export function toScreen(view, x, y) {
  const scale = scaleOf(view);
  return [view.size / 2 + (x - view.x) * scale, view.size / 2 - (y - view.y) * scale];
}

/** The view after a move by pixels. @param {View} view @returns {View} */
export function moved(view, right, down) {
  const scale = scaleOf(view);
  return held({ ...view, x: view.x - right / scale, y: view.y + down / scale });
}

/** The view zoomed by a factor, so that what lies at a pixel stays there. @param {View} view @returns {View} */
export function zoomed(view, factor, atX = view.size / 2, atY = view.size / 2) {
  const zoom = Math.min(NEAREST, Math.max(1, view.zoom * factor));
  const [before, after] = [scaleOf(view), scaleOf({ ...view, zoom })];
  const [right, down] = [atX - view.size / 2, atY - view.size / 2];
  const x = view.x + right / before - right / after;
  const y = view.y - down / before + down / after;
  return held({ ...view, zoom, x, y });
}

/** The middle stays on the map, and at zoom 1 in its middle. @param {View} view @returns {View} */
function held(view) {
  const reach = 1 - 1 / view.zoom;
  const hold = (value) => Math.min(reach, Math.max(-reach, value));
  return { ...view, x: hold(view.x), y: hold(view.y) };
}

/** The view with a point in its middle, where that is far from it. @param {View} view @returns {View} */
export function towards(view, x, y) {
  const [right, down] = toScreen(view, x, y);
  const inside = [right, down].every((one) => one > 0.1 * view.size && one < 0.9 * view.size);
  return inside ? view : held({ ...view, x, y });
}

/** The point at a pixel, or -1. @param {Float32Array} points @param {View} view */
export function hit(points, view, atX, atY, reach = 14) {
  const scale = scaleOf(view);
  const x = view.x + (atX - view.size / 2) / scale;
  const y = view.y - (atY - view.size / 2) / scale;
  let [best, least] = [-1, (reach / scale) ** 2];
  for (let at = 0; at < points.length; at += 2) {
    const far = (points[at] - x) ** 2 + (points[at + 1] - y) ** 2;
    if (far < least) [best, least] = [at / 2, far];
  }
  return best;
}

/**
 * The names that fit without overlap, the first points' first, those of `first` before all.
 * @param {Float32Array} points @param {View} view @param {(place: number) => number} widthOf @param {number[]} first
 * @returns {[number, number, number][]} place, and the left and middle of its name
 */
export function named(points, view, widthOf, first, most) {
  const boxes = [];
  const found = [];
  const inner = view.size - 4;
  const tryAt = (place) => {
    const [px, py] = toScreen(view, points[2 * place], points[2 * place + 1]);
    if (px < 0 || py < 0 || px > view.size || py > view.size) return false;
    const width = widthOf(place);
    const left = px + 6 + width > inner ? px - 6 - width : px + 6;
    const top = Math.min(inner - LINE, Math.max(4, py - LINE / 2));
    const clear = boxes.every(([x, y, w]) => left > x + w || left + width < x || Math.abs(top - y) > LINE);
    if (left < 4 || !clear) return true;
    boxes.push([left - BETWEEN, top, width + 2 * BETWEEN]);
    found.push([place, left, top + LINE / 2]);
    return true;
  };
  for (const place of first) if (2 * place < points.length) tryAt(place);
  const chosen = new Set(first);
  let seen = 0;
  for (let place = 0; 2 * place < points.length && found.length < most && seen < CANDIDATES; place += 1) {
    if (!chosen.has(place) && tryAt(place)) seen += 1;
  }
  return found;
}

/**
 * Which colour each point has.
 * @param {Label[]} labels @param {"count"|"source"|"language"|"letter"} by @param {{other: string, unnamed: string}} words
 * @returns {Groups}
 */
export function grouped(labels, by, words) {
  if (by === "count") {
    const share = (at) => Math.min(GROUPS - 1, Math.floor((GROUPS * at) / labels.length)); // points stand by their count
    return { names: [], of: Uint8Array.from(labels, (_, at) => share(at)), ordered: true };
  }
  const names = labels.map((label) => (by === "letter" ? [...label.text][0].toUpperCase() : label[by]) || words.unnamed);
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const ranked = [...counts].sort((one, other) => other[1] - one[1]).map(([name]) => name);
  const shown = ranked.length > GROUPS ? ranked.slice(0, GROUPS - 1) : ranked;
  const of = Uint8Array.from(names, (name) => (shown.includes(name) ? shown.indexOf(name) : GROUPS - 1));
  return { names: shown.length < ranked.length ? [...shown, words.other] : shown, of, ordered: false };
}

/** Places of the labels that are a text, then that begin with it, then that hold it. As `found` in rlhf/maps.py. */
export function matching(folded, text, most) {
  const wanted = text.toLowerCase().trim();
  if (!wanted) return [];
  const ranks = [[], [], []];
  folded.forEach((one, place) => {
    if (one.includes(wanted)) ranks[one === wanted ? 0 : one.startsWith(wanted) ? 1 : 2].push(place);
  });
  return ranks.flat().slice(0, most);
}

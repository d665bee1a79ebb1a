// The list beside a map: what a search finds, one point, its true neighbours. The server writes the same without it.

import { counted, made } from "../annotate/build.js";
import { fill } from "../annotate/words.js";
import { matching } from "./map-scene.js";

const MATCHES = 12;
const LISTED = 10;

export class MapList {
  /**
   * @param {import("./map-picture.js").MapPicture} picture
   * @param {{part: (name: string) => HTMLElement, say: (name: string, text: string) => void, words: DOMStringMap,
   *   fetched: (url: string) => Promise<Response>, facts: {neighbours: string, run: string}}} given
   */
  constructor(picture, given) {
    Object.assign(this, { picture, ...given });
    this.labels = picture.scene.labels;
    this.folded = this.labels.map((label) => label.text.toLowerCase());
  }

  /** Shows what fits what was typed. @returns {number[]} places */
  find(text) {
    const places = matching(this.folded, text, MATCHES);
    this.part("matches").replaceChildren(...places.map((place) => this.row(place)));
    this.part("matches").hidden = !places.length;
    this.say("none", text.trim() && !places.length ? this.words.tNone : "");
    return places;
  }

  /** Picks a point: its list, its lines, an address of its own. written: the page came with its list. */
  async pick(place, { written = false } = {}) {
    if (!this.labels[place]) return;
    this.wish = place;
    const found = await (await this.fetched(`${this.facts.neighbours}${place}`)).json();
    if (this.wish !== place) return;
    const near = found.neighbours.slice(0, LISTED);
    this.picture.set({ picked: place, lines: near.map((one) => one.place), marked: -1 });
    this.picture.seek(place);
    this.part("next").hidden = false;
    if (written) return;
    this.show(found, near);
    history.replaceState(null, "", this.address(place));
    this.announce();
  }

  /** @param {{text: string, count: number, source: string, language: string}} point @param {{place: number, cosine: number}[]} near */
  show({ text, count, source, language }, near) {
    const values = { text, count: counted(count), source: source || "–", language: language || "–" };
    for (const [name, value] of Object.entries(values)) this.say(name, value);
    this.part("near").replaceChildren(...near.map((one) => this.row(one.place, one.cosine.toFixed(2))));
    this.part("point").hidden = false;
  }

  /** What a person who does not see the picture is told. */
  announce() {
    const { picked, lines } = this.picture.scene;
    if (picked < 0) return;
    const word = this.labels[picked].text;
    const absent = this.picture.position(picked) ? "" : `${fill(this.words.tAbsent, { word })} `;
    const all = lines.map((one) => this.labels[one].text).join(", ");
    this.say("said", absent + fill(this.words.tPicked, { word, all }));
  }

  /** Marks the next neighbour of the picked point; with none picked, the first points in turn. */
  mark() {
    const { picked, lines, marked } = this.picture.scene;
    const among = picked < 0 ? [...this.labels.keys()].slice(0, LISTED) : lines;
    const at = (among.indexOf(marked) + 1) % among.length;
    const place = among[at];
    this.picture.set({ marked: place });
    this.picture.seek(place);
    for (const link of this.part("near").querySelectorAll("a")) {
      link.toggleAttribute("data-marked", Number(link.dataset.place) === place);
    }
    this.say("said", fill(this.words.tMarked, { n: at + 1, m: among.length, word: this.labels[place].text }));
  }

  address(place) {
    return `?${new URLSearchParams({ run: this.facts.run, point: place })}`;
  }

  row(place, cosine) {
    const link = made("a", { href: this.address(place), "data-place": place }, made("bdi", {}, this.labels[place].text));
    return cosine === undefined ? made("li", {}, link) : made("li", {}, link, " ", made("span", { class: "num" }, cosine));
  }
}

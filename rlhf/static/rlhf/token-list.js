// <token-list>: one tokenizer's pieces, one of them picked, and what is known about it. Arrow keys walk.

import { written } from "./numbers.js";
import { halves, hexOf, pieces, quoted, read, shown } from "./tokens.js";

const SLICE = 500; // boxes of a frame: 2,000 characters of a word-like language
const NOTHING = { tokens: [], first: [], steps: [], reason: "", counts: {} };

class TokenList extends HTMLElement {
  connectedCallback() {
    this.list = this.part("tokens");
    this.list.role = "listbox";
    this.list.tabIndex = 0;
    this.box = document.createElement("li");
    this.box.setAttribute("role", "option");
    /** @type {string[]} what the boxes say, each with its ground before it */
    this.signs = [];
    /** @type {{encoded: import("./tokens.js").Encoded|null, pieces: import("./tokens.js").Piece[], picked: number}} */
    this.state = { encoded: null, pieces: [], picked: 0 };
    this.list.addEventListener("keydown", this.walk);
    this.list.addEventListener("click", this.click);
  }

  disconnectedCallback() {
    this.stop();
    this.list.removeEventListener("keydown", this.walk);
    this.list.removeEventListener("click", this.click);
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  /** How many merges the text takes. */
  get steps() {
    return this.state.encoded?.steps.length ?? 0;
  }

  /** Takes an answer of the API, or the sentence of a refusal; `step` draws it. */
  take({ encoded = NOTHING, sentence = "" }) {
    this.state = { encoded: read(encoded), pieces: [], picked: 0 };
    this.part("refusal").hidden = !sentence;
    this.part("refusal-text").textContent = sentence;
    this.part("reason").textContent = encoded.tokens.length ? encoded.reason : "";
  }

  /** The pieces after so many merges. @param {number} count */
  step(count) {
    const { encoded, pieces: before, picked } = this.state;
    if (!encoded) return;
    const at = before[picked]?.at ?? 0;
    const now = pieces(encoded, Math.min(count, this.steps));
    this.state.pieces = now;
    this.draw();
    this.part("empty").hidden = now.length > 0 || !this.part("refusal").hidden;
    for (const name of ["tokens", "details", "walk"]) this.part(name).hidden = !now.length;
    if (now.length) this.pick(now.findLastIndex((piece) => piece.at <= at));
  }

  /** The rule of the last merge that was done, written. @param {number} number of that merge, from 1 */
  rule(number) {
    const [, position] = this.state.encoded.steps[number - 1];
    const piece = this.state.pieces.find(({ at }) => at === position);
    const [left, right] = this.halves(piece);
    return { rank: piece.merge.rank, left, right };
  }

  /** What a merge joined, written. */
  halves(piece) {
    return halves(this.state.encoded, piece).map(quoted);
  }

  /** A box a piece. Those at both ends that say the same stay: one merge, or one letter typed, changes a few. */
  draw() {
    this.stop();
    const known = new Map(); // one id, one text
    const said = ({ id, bytes }) => known.get(id) ?? known.set(id, shown(bytes)).get(id);
    const signs = this.state.pieces.map((piece) => `${piece.ground}${said(piece)}`);
    const [start, end] = same(this.signs, signs);
    if (!start && !end) this.list.replaceChildren();
    for (let at = this.signs.length - end - 1; at >= start; at -= 1) this.list.children[at]?.remove();
    this.signs.splice(start, this.signs.length - start - end);
    this.add(signs, start, signs.length - end);
  }

  /** Puts the boxes in from one place up to another, a slice a frame, so that the first are seen at once. */
  add(signs, from, to) {
    const slice = signs.slice(from, Math.min(to, from + SLICE));
    const boxes = document.createDocumentFragment();
    for (const sign of slice) {
      const box = boxes.appendChild(this.box.cloneNode());
      box.className = `g${sign[0]}`;
      box.textContent = sign.slice(1);
    }
    this.list.insertBefore(boxes, this.list.children[from] ?? null);
    this.signs.splice(from, 0, ...slice);
    const next = from + slice.length;
    if (next < to) this.afterPaint(() => this.add(signs, next, to));
    this.mark();
  }

  /** What waits behind the next frame is done as soon as it is painted. @param {() => void} act */
  afterPaint(act) {
    this.frame = requestAnimationFrame(() => (this.after = setTimeout(act)));
  }

  stop() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.after);
  }

  /** @param {number} index */
  pick(index) {
    this.state.picked = index;
    this.mark();
    this.tell(this.state.pieces[index], index);
  }

  /** Shows which box is picked, once it is there. */
  mark() {
    const box = this.list.children[this.state.picked];
    const last = this.list.querySelector("[aria-selected]");
    if (!box || box === last) return;
    last?.removeAttribute("aria-selected");
    last?.removeAttribute("id");
    box.setAttribute("aria-selected", "true");
    box.id = `picked-${this.dataset.side}`;
    this.list.setAttribute("aria-activedescendant", box.id);
  }

  tell(piece, index) {
    const said = {
      place: this.dataset.tPlace.replace("{n}", index + 1).replace("{m}", this.state.pieces.length),
      id: String(piece.id),
      bytes: piece.bytes.map(hexOf).join(" "),
      characters: piece.token ? `${piece.token.start}–${piece.token.end}` : "–",
      rank: piece.merge ? written(piece.merge.rank) : "–",
      joined: piece.merge ? this.halves(piece).join(" + ") : "–",
    };
    for (const [name, text] of Object.entries(said)) this.part(name).textContent = text;
  }

  click = (event) => {
    const box = event.target.closest("li");
    if (box) this.pick([...this.list.children].indexOf(box));
  };

  walk = (event) => {
    const to = this.target(event.key);
    if (to === null) return;
    event.preventDefault();
    this.pick(to);
    this.list.children[to]?.scrollIntoView({ block: "nearest" });
  };

  /** Where a key leads, or null. @param {string} key */
  target(key) {
    const { picked, pieces: all } = this.state;
    const last = all.length - 1;
    const forth = getComputedStyle(this.list).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    if (key === "Home") return 0;
    if (key === "End") return last;
    if (key === "ArrowLeft" || key === "ArrowRight") return Math.max(0, Math.min(last, picked + (key === forth ? 1 : -1)));
    if (key === "ArrowDown" || key === "ArrowUp") return this.line(key === "ArrowDown" ? 1 : -1);
    return null;
  }

  /** The piece above or below the picked one, on the next line that way. @param {1|-1} way */
  line(way) {
    const boxes = this.list.children;
    const here = boxes[this.state.picked];
    const middle = here.offsetLeft + here.offsetWidth / 2;
    let found = this.state.picked;
    let row = null;
    for (let at = found + way; at >= 0 && at < boxes.length; at += way) {
      if (boxes[at].offsetTop === here.offsetTop) continue;
      row ??= boxes[at].offsetTop;
      if (boxes[at].offsetTop !== row) break;
      found = row === boxes[found].offsetTop && off(boxes[found], middle) <= off(boxes[at], middle) ? found : at;
    }
    return found;
  }
}

/** How many are the same at the beginning, and how many of the others at the end. */
function same(before, now) {
  const most = Math.min(before.length, now.length);
  let start = 0;
  while (start < most && before[start] === now[start]) start += 1;
  let end = 0;
  while (end < most - start && before.at(-1 - end) === now.at(-1 - end)) end += 1;
  return [start, end];
}

/** How far a box's middle is from a place. */
function off(box, middle) {
  return Math.abs(box.offsetLeft + box.offsetWidth / 2 - middle);
}

customElements.define("token-list", TokenList);

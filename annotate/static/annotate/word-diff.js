// <word-diff>: what differs between two texts, word by word. It shows its own text against the one in data-after, or
// what show() is given. Long equal runs fold to their ends.

const MOST = 4_000_000; // cells of the table; beyond it the middle counts as replaced
const AROUND = 12; // words of an equal run that stay on each side

/** @typedef {{kind: "same"|"ins"|"del", text: string}} Run */

const pieces = (text) => text.match(/\s+|[^\s]+/g) ?? [];

/** A longest common subsequence of words and blanks, as runs. @param {string} before @param {string} after @returns {Run[]} */
export function diff(before, after) {
  const [a, b] = [pieces(before), pieces(after)];
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const middle = replaced(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return joined([...whole("same", a.slice(0, start)), ...middle, ...whole("same", a.slice(a.length - end))]);
}

const whole = (kind, words) => words.map((text) => ({ kind, text }));

function replaced(a, b) {
  if (a.length * b.length > MOST) return [...whole("del", a), ...whole("ins", b)];
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const skip = Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
      longest[i * width + j] = a[i] === b[j] ? longest[(i + 1) * width + j + 1] + 1 : skip;
    }
  }
  const runs = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      runs.push({ kind: "same", text: a[i] });
      i += 1;
      j += 1;
    } else if (j === b.length || (i < a.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) {
      runs.push({ kind: "del", text: a[i] });
      i += 1;
    } else {
      runs.push({ kind: "ins", text: b[j] });
      j += 1;
    }
  }
  return runs;
}

function joined(runs) {
  const found = [];
  for (const { kind, text } of runs) {
    if (found.at(-1)?.kind === kind) found.at(-1).text += text;
    else found.push({ kind, text });
  }
  return found;
}

/** An equal run without its middle. @param {string} text @param {{first: boolean, last: boolean}} at */
function folded(text, { first, last }) {
  const words = pieces(text);
  const keep = 2 * AROUND;
  if (words.length <= 2 * keep) return text;
  const head = first ? "" : words.slice(0, keep).join("");
  const tail = last ? "" : words.slice(-keep).join("");
  return `${head} … ${tail}`;
}

class WordDiff extends HTMLElement {
  connectedCallback() {
    const other = document.getElementById(this.dataset.after ?? "");
    const details = this.closest("details");
    if (!other || !details) return;
    const before = this.textContent.trim();
    const draw = () => details.open && this.show(before, other.content.textContent.trim());
    details.addEventListener("toggle", draw, { once: true });
  }

  /** @param {string} before @param {string} after */
  show(before, after) {
    const runs = diff(before, after);
    if (runs.every((run) => run.kind === "same")) {
      this.replaceChildren(this.dataset.tSame);
      return;
    }
    const nodes = runs.map((run, index) => this.node(run, { first: index === 0, last: index === runs.length - 1 }));
    this.replaceChildren(...nodes);
  }

  node({ kind, text }, at) {
    const made = document.createElement(kind === "same" ? "span" : kind);
    made.textContent = kind === "same" ? folded(text, at) : text;
    if (kind === "same") return made;
    const word = document.createElement("span");
    word.className = "visually-hidden";
    word.textContent = ` ${kind === "ins" ? this.dataset.tAdded : this.dataset.tRemoved}: `;
    made.prepend(word);
    return made;
  }
}

customElements.define("word-diff", WordDiff);

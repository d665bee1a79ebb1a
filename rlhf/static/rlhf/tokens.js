// What a text looks like after some of its merges. Pure: no DOM, no words.

/**
 * @typedef {{id: number, bytes: number[]}} First  a piece of the beginning
 * @typedef {{id: number, start: number, end: number, bytes: number[]}} Token
 * @typedef {{
 *   tokens: Token[], first: First[], steps: [number, number, number][], owners: number[],
 *   reason: string, counts: Record<string, number>,
 * }} Encoded  the API's answer; owners: for each piece of the beginning, the token that it ends in
 * @typedef {{
 *   id: number, bytes: number[], at: number, ground: number,
 *   merge: {rank: number, right: number, end: number} | null, token: Token | null,
 * }} Piece  at: where it begins, counted in pieces of the beginning, as `right` its second half; token: a whole one
 */

const GROUNDS = 6;
const UNSEEN = /[\p{Cc}\p{Cf}\p{Z}]/u;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What the API answered, its bytes as numbers: of the tokens where there are no pieces that make them. @returns {Encoded} */
export function read({ tokens, first, steps, reason, counts }) {
  const known = new Map();
  const bytes = (hex) => known.get(hex) ?? known.set(hex, bytesOf(hex)).get(hex);
  return {
    tokens: first.length ? tokens : tokens.map((token) => ({ ...token, bytes: bytes(token.bytes) })),
    first: first.map(([id, hex]) => ({ id, bytes: bytes(hex) })),
    steps,
    owners: ownersOf(first.length, steps),
    reason,
    counts,
  };
}

/** @param {number} byte */
export function hexOf(byte) {
  return byte.toString(16).padStart(2, "0");
}

/**
 * Bytes as people read them: a space as ·, a line end as ↵, what is no whole or no visible character as ⟨e2⟩.
 * `shown` in rlhf/tokenizing.py says the same.
 * @param {number[]} bytes
 */
export function shown(bytes) {
  let said = "";
  for (let at = 0; at < bytes.length; ) {
    const letter = letterAt(bytes, at);
    const taken = letter === null ? 1 : lengthAt(bytes, at);
    if (letter === " ") said += "·";
    else if (letter === "\n") said += "↵";
    else if (letter !== null && !UNSEEN.test(letter)) said += letter;
    else for (const byte of bytes.slice(at, at + taken)) said += `⟨${hexOf(byte)}⟩`;
    at += taken;
  }
  return said;
}

/** The same, kept apart from the direction of what stands around it. @param {number[]} bytes */
export function quoted(bytes) {
  return `\u2068${shown(bytes)}\u2069`;
}

/**
 * The pieces after the first `count` merges. All have the ground of the token that they end in.
 * @param {Encoded} encoded @param {number} count @returns {Piece[]}
 */
export function pieces({ tokens, first, steps, owners }, count) {
  if (!first.length) return tokens.map((token, at) => ({ ...token, at, ground: at % GROUNDS, merge: null, token }));
  const { ends, made } = merged(first.length, steps.slice(0, count));
  const found = [];
  for (let at = 0; at < first.length; at = ends[at]) {
    const { rank, id, right } = made[at] ?? first[at];
    const end = ends[at];
    const owner = owners[at];
    const token = owners[at - 1] !== owner && owners[end] !== owner ? tokens[owner] : null;
    const merge = right ? { rank, right, end } : null;
    found.push({ id, bytes: joined(first, at, end), at, ground: owner % GROUNDS, merge, token });
  }
  return found;
}

/** The bytes of both halves that a merge joined. @param {Encoded} encoded @param {Piece} piece */
export function halves({ first }, { at, merge }) {
  return [joined(first, at, merge.right), joined(first, merge.right, merge.end)];
}

/** The bytes of pieces of the beginning, from one up to another. */
function joined(first, from, to) {
  if (to === from + 1) return first[from].bytes;
  const bytes = [];
  for (let at = from; at < to; at += 1) bytes.push(...first[at].bytes);
  return bytes;
}

/** @param {string} hex */
function bytesOf(hex) {
  return Array.from({ length: hex.length / 2 }, (_, at) => parseInt(hex.slice(2 * at, 2 * at + 2), 16));
}

function lengthAt(bytes, at) {
  return bytes[at] < 0x80 ? 1 : bytes[at] < 0xe0 ? 2 : bytes[at] < 0xf0 ? 3 : 4;
}

/** The whole character at a place, or null. An error of the decoder costs too much to ask it about every half. */
function letterAt(bytes, at) {
  if (bytes[at] < 0x80) return String.fromCharCode(bytes[at]);
  const end = at + lengthAt(bytes, at);
  const rest = bytes.slice(at + 1, end);
  if (bytes[at] < 0xc0 || end > bytes.length || rest.some((byte) => (byte & 0xc0) !== 0x80)) return null;
  try {
    return decoder.decode(new Uint8Array(bytes.slice(at, end)));
  } catch {
    return null;
  }
}

function ownersOf(length, steps) {
  const { ends } = merged(length, steps);
  const owners = [];
  for (let at = 0, owner = 0; at < length; at = ends[at], owner += 1) {
    for (let inner = at; inner < ends[at]; inner += 1) owners.push(owner);
  }
  return owners;
}

/** Where each piece ends, and which merge made it. */
function merged(length, steps) {
  const ends = Array.from({ length }, (_, at) => at + 1);
  const made = [];
  for (const [rank, at, id] of steps) {
    made[at] = { rank, id, right: ends[at] };
    ends[at] = ends[ends[at]];
  }
  return { ends, made };
}

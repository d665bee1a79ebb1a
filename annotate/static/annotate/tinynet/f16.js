// A trained start: LMT1, a JSON header, the weights in float16. Whatever start.py refuses is refused here, by the same reason.

import { D, H, NAMES } from "./net.js";

const FORMAT = 1;
const SIZE = 1_200;
const SPECIAL = ["<unk>", "<num>", "<s>"];
const FREQUENT = 120;
const PLAYABLE_COUNT = 5;
const WHOLE = ["v", "total", "seed"];
const TEXTS = ["language", "corpus_sha256", "code"];

/**
 * content, playable: 1 where the word is one.
 * @typedef {{words: string[], counts: number[], total: number, u: Float64Array, content: Uint8Array,
 *   playable: Uint8Array}} Vocabulary
 */

/** Its message is the reason: magic, header, format, shape, length or not_finite. */
export class BadStart extends Error {}

/** A float16 from its 16 bits. @param {number} bits */
export function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1_023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1_024 + fraction) * 2 ** (exponent - 25);
}

/** @param {string[]} words @param {number[]} counts @param {number} total @returns {Vocabulary} */
export function vocabulary(words, counts, total) {
  const means = (word, id) => id >= SPECIAL.length + FREQUENT && [...word].length > 1;
  const content = Uint8Array.from(words, means);
  const playable = content.map((is, id) => is && counts[id] >= PLAYABLE_COUNT);
  return { words, counts, total, u: Float64Array.from(counts, (count) => count / total), content, playable };
}

/** @param {ArrayBuffer} buffer @returns {{net: import("./net.js").Net, vocabulary: Vocabulary, header: object}} */
export function readStart(buffer) {
  const view = new DataView(buffer);
  refuseUnless(buffer.byteLength >= 8 && view.getUint32(0) === 0x4c4d5431, "magic");
  const end = 8 + view.getUint32(4, true);
  refuseUnless(end <= buffer.byteLength, "header");
  const header = headerOf(new Uint8Array(buffer, 8, end - 8));
  const { v } = header;
  const sizes = [v * D, H * 3 * D, H, v * H, v, 1, D];
  const all = sizes.reduce((sum, size) => sum + size);
  refuseUnless(buffer.byteLength === end + 2 * all, "length");
  const weights = Float64Array.from({ length: all }, (_, at) => half(view.getUint16(end + 2 * at, true)));
  refuseUnless(weights.every(Number.isFinite), "not_finite");
  const known = vocabulary(header.vocab, header.count, header.total);
  const net = { u: known.u };
  let at = 0;
  NAMES.forEach((name, nth) => {
    net[name] = weights.slice(at, at + sizes[nth]);
    at += sizes[nth];
  });
  return { net, vocabulary: known, header };
}

function headerOf(bytes) {
  let header = null;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    refuseUnless(false, "header");
  }
  refuseUnless(isPlain(header), "header");
  refuseUnless(header.format === FORMAT, "format");
  const { vocab, count, v } = header;
  const kinds = WHOLE.every((name) => Number.isInteger(header[name])) && TEXTS.every((name) => typeof header[name] === "string");
  const shapes = [vocab, count].every(Array.isArray) && [header.config, header.held_out].every(isPlain);
  refuseUnless(kinds && shapes, "header");
  refuseUnless(header.d === D && header.h === H && v > SPECIAL.length && v <= SIZE, "shape");
  refuseUnless(vocab.length === v && count.length === v, "shape");
  const named = vocab.every((word) => typeof word === "string") && SPECIAL.every((word, id) => vocab[id] === word);
  const counted = count.every((one) => Number.isInteger(one) && one >= 0);
  const sum = counted ? count.reduce((total, one) => total + one, 0) : Infinity;
  refuseUnless(named && counted && header.total >= Math.max(1, sum), "header");
  return header;
}

const isPlain = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function refuseUnless(holds, reason) {
  if (!holds) throw new BadStart(reason);
}

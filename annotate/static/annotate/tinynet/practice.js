// The practice stream: training text as uint16 ids, and its examples by number. The twin of stream.py.

import { mulberry32 } from "./prng.js";
import { CONTEXT, seen } from "./round.js";

const END_OF_SENTENCE = 65_535;
const END_OF_PARAGRAPH = 65_534;
const LEAST_WORDS = 3;

/**
 * sentences: the ids of each, and its context, which is content.slice(since, until). blanks: [sentence, place].
 * @typedef {{sentences: {ids: number[], since: number, until: number}[], content: number[],
 *   blanks: [number, number][]}} Practice
 */

/** @param {ArrayBuffer} buffer @param {import("./f16.js").Vocabulary} vocabulary @returns {Practice} */
export function readPractice(buffer, vocabulary) {
  const view = new DataView(buffer);
  const practice = { sentences: [], content: [], blanks: [] };
  let [ids, begun] = [[], 0];
  for (let at = 0; at + 1 < buffer.byteLength; at += 2) {
    const mark = view.getUint16(at, true);
    if (mark < END_OF_PARAGRAPH) ids.push(mark);
    else {
      add(practice, ids, begun, vocabulary);
      ids = [];
      if (mark === END_OF_PARAGRAPH) begun = practice.content.length;
    }
  }
  const known = practice.sentences.every((sentence) => sentence.ids.every((id) => id < vocabulary.words.length));
  const ended = buffer.byteLength > 1 && view.getUint16(buffer.byteLength - 2, true) === END_OF_PARAGRAPH;
  if (buffer.byteLength % 2 || !known || !ended) throw new RangeError("bad_practice");
  return practice;
}

function add({ sentences, content, blanks }, ids, begun, vocabulary) {
  const until = content.length;
  sentences.push({ ids, since: Math.max(begun, until - CONTEXT), until });
  ids.forEach((id, place) => {
    if (!vocabulary.content[id]) return;
    content.push(id);
    if (ids.length >= LEAST_WORDS) blanks.push([sentences.length - 1, place]);
  });
}

/**
 * Example `number` of a seed and its gold.
 * @param {Practice} practice @param {{seed: number, number: number, mode: string}} which
 */
export function practiceExample({ sentences, content, blanks }, { seed, number, mode }) {
  const [sentence, place] = blanks[Math.floor(mulberry32(seed + number)() * blanks.length)];
  const { ids, since, until } = sentences[sentence];
  return { example: seen(ids, place, content.slice(since, until), mode), gold: ids[place] };
}

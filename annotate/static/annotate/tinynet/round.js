// A round as a value: what is shown, what an answer does to it, and the rows that the server replays. With guess.js and
// step.js its first half is the twin of play.py.

import { mulberry32, shuffled } from "./prng.js";

export const PHASES = ["presentation", "prediction", "evaluation", "adjustment", "accumulation"];
export const GENTLE = 0.02;
export const BOLD = 0.1;
export const CONTEXT = 60;
const NEAR = 5;
const EDGE = 2;
const UNDO = 16;

/**
 * As items.py `payload` writes them; spans and choices count UTF-16 units and words.
 * @typedef {{text: string, ids: number[], spans: [number, number][], played: boolean}} Sentence
 * @typedef {{sentence: number, position: number, gold: number, distractors: number[], choices: number[]}} Item
 * @typedef {{key: string, sentences: Sentence[], items: Item[]}} Paragraph
 * @typedef {"missing"|"next"|"correction"} Mode
 *
 * at: which item; picked: the place suspected in correction; stream: next number of the practice stream; past: the
 * states to undo to.
 * @typedef {{mode: Mode, seed: number, items: Item[], at: number, phase: string, number: number, picked: number|null,
 *   stream: number, counts: {processed: number, correct: number, errors: number, network: number, auto: number},
 *   rows: object[], past: Round[]}} Round
 */

/** What the network sees of the blank at a place. @param {number[]} ids @returns {import("./net.js").Example} */
export function seen(ids, place, context, mode) {
  const left = ids.slice(Math.max(0, place - NEAR), place).reverse();
  const right = ids.slice(place + 1, place + 1 + NEAR);
  return { left: edged(left), right: mode === "next" ? [] : edged(right), context };
}

const edged = (ids) => (ids.length < NEAR ? [...ids, EDGE] : ids);

/** The last 60 content words of all earlier sentences. @param {Paragraph} paragraph */
export function contextBefore(paragraph, sentence, vocabulary) {
  const earlier = paragraph.sentences.slice(0, sentence).flatMap(({ ids }) => ids);
  return earlier.filter((id) => vocabulary.content[id]).slice(-CONTEXT);
}

/** @param {Paragraph} paragraph @param {Item} item @param {Mode} mode */
export function exampleOf(paragraph, item, vocabulary, mode) {
  const context = contextBefore(paragraph, item.sentence, vocabulary);
  return seen(paragraph.sentences[item.sentence].ids, item.position, context, mode);
}

/** The sentence's ids with the wrong word of correction. @param {Paragraph} paragraph @param {Item} item */
export const withWrongWord = (paragraph, item) =>
  paragraph.sentences[item.sentence].ids.with(item.position, item.distractors[3]);

/** The four words in the order of attempt `number`. @param {Item} item */
export const optionsOf = (item, seed, number) =>
  shuffled([item.gold, ...item.distractors.slice(0, 3)], mulberry32(seed + number));

/** The text around a word. @param {Sentence} sentence */
export function cut(sentence, position) {
  const [start, end] = sentence.spans[position];
  const { text } = sentence;
  return { before: text.slice(0, start), word: text.slice(start, end), after: text.slice(end) };
}

/** @param {{mode: Mode, seed: number, items: Item[]}} given @returns {Round} */
export const begin = ({ mode, seed, items }) => ({
  mode,
  seed,
  items,
  at: 0,
  phase: PHASES[0],
  number: 1,
  picked: null,
  stream: 0,
  counts: { processed: 0, correct: 0, errors: 0, network: 0, auto: 0 },
  rows: [],
  past: [],
});

/** The item that is asked, undefined after the last. @param {Round} round */
export const current = (round) => round.items[round.at];

/** The order in which its words are shown. @param {Round} round */
export const shown = (round) => optionsOf(current(round), round.seed, round.number);

/** @param {Round} round @param {string} phase @returns {Round} */
export const inPhase = (round, phase) => ({ ...round, phase });

/** Correction: the place that the player suspects. @param {Round} round @returns {Round} */
export const pick = (round, place) => ({ ...round, picked: place, phase: PHASES[1] });

/** A typed word as the network writes it. @param {string} word */
export const plain = (word) => word.trim().toLowerCase().replaceAll("’", "'");

/**
 * The round with an answer: a choice among the four, or free, a typed word. network: whether its guess was right;
 * outcome: as `play` of step.js returns it, null while there is no network; auto: the network played.
 * @param {Round} round @returns {Round}
 */
export function answer(round, { choice, free, goldWord, network, outcome, eta, contextOn, activeMs, auto }) {
  const item = current(round);
  const said = free ? plain(free) === goldWord : choice === item.gold;
  const right = said && (round.mode !== "correction" || round.picked === item.position);
  const row = {
    number: round.number,
    kind: auto ? "auto" : "answer",
    item: round.at,
    mode: round.mode,
    shown: shown(round),
    choice: free ? null : choice,
    free: free ? plain(free) : "",
    picked: round.picked,
    right,
    active_ms: activeMs,
    context_on: contextOn,
    eta,
    ...outcome,
  };
  const counts = auto ? more(round.counts, { auto: 1 }) : more(round.counts, tally(right, network));
  return { ...remembering(round), phase: PHASES[2], counts, rows: [...round.rows, row], number: round.number + 1 };
}

const tally = (right, network) => ({ processed: 1, correct: +right, errors: +!right, network: +network });

/** Counts with something added. */
export const more = (counts, by) => Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, n + (by[name] ?? 0)]));

/** The next item. @param {Round} round @returns {Round} */
export const advance = (round) => ({ ...round, at: round.at + 1, picked: null, phase: PHASES[0] });

/** The round before its last answer, which stays among the rows as undone; the same where there is none. @returns {Round} */
export function undo(round) {
  const before = round.past.at(-1);
  if (!before) return round;
  const row = { number: round.number, kind: "undo" };
  const past = round.past.slice(0, -1);
  return { ...before, phase: PHASES[0], picked: null, past, rows: [...round.rows, row], number: round.number + 1 };
}

/** The round, which can be undone to what it is. @param {Round} round @returns {Round} */
export const remembering = (round) => ({ ...round, past: [...round.past, { ...round, past: [] }].slice(-UNDO) });

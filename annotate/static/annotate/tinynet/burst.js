// What happens to a round beside its questions: examples of the practice stream, and steps that come late.

import { more, remembering } from "./round.js";

/** @typedef {import("./round.js").Round} Round */

/** The outcome of an answer that was given before the network arrived. @param {Round} round @returns {Round} */
export const settled = (round, number, outcome) => ({
  ...round,
  rows: round.rows.map((row) => (row.number === number ? { ...row, ...outcome } : row)),
});

/** The round after count examples of the practice stream. @param {Round} round @returns {Round} */
export function burst(round, { count, eta }) {
  const row = { number: round.number, kind: "auto", mode: round.mode, count, stream: round.stream, eta };
  const counts = more(round.counts, { auto: count });
  const stream = round.stream + count;
  return { ...remembering(round), counts, stream, rows: [...round.rows, row], number: round.number + 1 };
}

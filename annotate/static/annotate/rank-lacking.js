// What a ranking still lacks when somebody sends it.

/**
 * @param {{letters: string[], partial: boolean, line: boolean, rows: HTMLElement[], required: string[], unread: string[]}} about
 * letters: without a place. partial: whether they may stay so. line: whether it is still to be said where
 * acceptable ends. rows: likert-rows. unread: folded and never opened.
 * @returns {{words: string, letters: string[], row?: HTMLElement}|null} words: the data-t-* that says it
 */
export function lacking({ letters, partial, line, rows, required, unread }) {
  if (letters.length && !partial) return { words: "tMissing", letters };
  if (line) return { words: "tLine", letters: [] };
  const row = rows.find((one) => required.includes(one.dataset.axis) && one.value === null);
  row?.classList.add("missing");
  if (row) return { words: "tRate", letters: [], row };
  return unread.length ? { words: "tUnopened", letters: unread } : null;
}

// Words come from the server; this fills their places: "Placed {n} of {k}".

/** @param {string} words @param {Record<string, string|number>} values */
export function fill(words, values) {
  return words.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

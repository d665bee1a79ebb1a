// Numbers as the page's language writes them. A format is made once: making one takes as long as drawing an answer.

const formats = new Map();

/** @param {number} value @param {{digits?: number, sign?: "auto"|"always"}} [how] */
export function written(value, { digits, sign = "auto" } = {}) {
  const key = `${digits} ${sign}`;
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: sign };
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(document.documentElement.lang, options));
  return formats.get(key).format(value);
}

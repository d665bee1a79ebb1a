// Elements in one line. What stands in them is text, never markup.

/** @param {string} tag @param {Record<string, string>} [attributes] @param {...(Node|string)} children */
export function made(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** @param {string} tag @param {Record<string, string|number>} attributes */
export function drawn(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** 0.613 as 61 %, 0.0042 as 0.42 %. @param {number} share */
export const percent = (share) => `${(100 * share).toFixed(share >= 0.1 || share === 0 ? 0 : share >= 0.01 ? 1 : 2)} %`;

/** A number with its sign as a minus, and no minus on nothing. @param {number} value @param {number} digits */
export const fixed = (value, digits) => value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");

let numbers = null; // making one takes as long as drawing the page's result

/** 35405 as the page's language writes it. @param {number} count */
export function counted(count) {
  numbers ??= new Intl.NumberFormat(document.documentElement.lang);
  return numbers.format(count);
}

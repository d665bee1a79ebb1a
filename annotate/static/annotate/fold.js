// Long texts fold to the height that their class "folded" gives them.

/** Folds the text where it is longer than that. @param {HTMLElement} text @returns {boolean} whether it was */
export function foldText(text) {
  text.classList.add("folded");
  const long = text.scrollHeight > text.clientHeight + 4;
  text.classList.toggle("folded", long);
  return long;
}

// The toast: one, at the bottom start, until the next submission or until it is dismissed. The server renders it.

const region = document.querySelector("[data-part=toast-region]");

/** Makes the sentence heard: a live region speaks of what changes in it after it was there. */
function announce(toast) {
  toast.remove();
  requestAnimationFrame(() => region.append(toast));
}

const toast = region?.querySelector("[data-part=toast]");
if (toast) {
  const close = toast.querySelector("[data-part=toast-close]");
  close.hidden = false;
  close.addEventListener("click", () => toast.remove());
  announce(toast);
}

/** @param {string} sentence words that the server gave */
export function say(sentence) {
  const made = document.createElement("div");
  made.className = "toast";
  made.dataset.part = "toast";
  made.textContent = sentence;
  region.replaceChildren(made);
}

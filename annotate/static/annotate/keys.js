// Keys of the screen, from the registry that the server wrote. A key presses the visible [data-key] of its name; where
// there is none it goes out as a "key" event, for the islands.

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const names = new Set(read("keys-names"));
const own = read("keys-own"); // name → what this person presses for it
names.add("Z"); // the toast's own, on every page
const meaning = new Map([...names].map((name) => [own[name] ?? name, name]));
const pressable = new Set(meaning.keys());
const MOVES = "input, .box";
const OWN = { Enter: "button, a[href], summary", Space: "button, summary, input", ArrowLeft: MOVES, ArrowRight: MOVES };
const on = document.documentElement.dataset.keys !== "off";

/**
 * The registry's name of what was pressed, or null. The place on the board counts where the layout has no such sign.
 * @param {KeyboardEvent} event
 * @param {Set<string>} known
 */
export function nameOf(event, known) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return known.has("Send") ? "Send" : null;
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const name = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toUpperCase() : event.key;
  if (known.has(name)) return name;
  const place = /^(?:Key|Digit)(.)$/.exec(event.code ?? "")?.[1];
  const foreign = place && !event.shiftKey && !/^[A-Za-z0-9]$/.test(event.key);
  return foreign && known.has(place) ? place : null;
}

/** Whether typing belongs to the element itself. @param {Element} target */
function writes(target) {
  const field = target.closest("input, textarea, select, [contenteditable]");
  return field !== null && !["radio", "checkbox", "range"].includes(field.type);
}

function covered() {
  return document.querySelector("dialog[open], [popover]:popover-open") !== null;
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (event.repeat || event.isComposing || event.defaultPrevented) return;
  const name = meaning.get(nameOf(event, pressable)) ?? null;
  if (name === null || name === "Escape") return;
  if (covered()) return;
  const target = /** @type {Element} */ (event.target);
  if (name === "Send") {
    if (!writes(target)) return;
  } else if (!on || writes(target)) return;
  else if (OWN[name] && target.closest(OWN[name])) return;
  event.preventDefault();
  if (name === "Send") document.getElementById(target.closest("[data-sends]")?.dataset.sends)?.click();
  else act(name);
}

function act(name) {
  if (name === "?") return document.getElementById("keys").showPopover();
  const found = [...document.querySelectorAll("[data-key]")].filter((one) => one.dataset.key.split(" ").includes(name));
  const shown = found.find((one) => one.checkVisibility());
  if (shown) return shown.click();
  document.dispatchEvent(new CustomEvent("key", { detail: { name } }));
}

/** Says on the controls themselves which key presses them. */
function mark() {
  for (const one of on ? document.querySelectorAll("[data-key]") : []) {
    const wanted = one.dataset.key.split(" ");
    const unknown = wanted.filter((name) => !names.has(name));
    if (unknown.length) throw new Error(`not in the registry: ${unknown}`);
    one.setAttribute("aria-keyshortcuts", wanted.map((name) => own[name] ?? name).join(" "));
  }
  for (const hint of document.querySelectorAll("kbd:not([data-own])")) {
    const text = own[hint.textContent.trim()];
    if (text) Object.assign(hint, { textContent: text }).dataset.own = "";
  }
}

document.addEventListener("keydown", pressed);
document.addEventListener("refreshed", mark);
mark();

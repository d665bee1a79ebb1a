// Where the round stands: the counters, and which of the five steps it is in.

import { counted } from "./build.js";
import { fill } from "./words.js";

/** @param {(name: string) => Element} part @param {import("./game-player.js").Player} player */
export function showCounts(part, { round, answered, net }, words) {
  const { counts, at, items } = round;
  const done = at + Number(Boolean(answered));
  for (const name of ["processed", "correct", "errors"]) part(name).textContent = String(counts[name]);
  part("progress").textContent = `${done} / ${items.length}`;
  part("bar").setAttribute("width", `${(100 * done) / items.length}%`);
  const network = { n: counts.network, of: counts.processed };
  part("network-count").textContent = net && counts.processed ? fill(words.tNetworkCount, network) : "";
  part("auto-count").textContent = counts.auto ? fill(words.tAutoCount, { n: counted(counts.auto) }) : "";
}

/** @param {HTMLElement} root @param {string} phase */
export function markPhase(root, phase) {
  for (const step of root.querySelectorAll("[data-phase]")) {
    if (step.dataset.phase === phase) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  }
}

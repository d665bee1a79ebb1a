// The views of <net-view> that are asked for: the weights alone, what the last step did, and the table.

import { scene, strongest } from "./net-scene.js";
import { clamp, ofOptions } from "./tinynet/colour.js";
import { H } from "./tinynet/net.js";
import { fill } from "./words.js";

const VIEWS = ["values", "weights", "change", "table"];
const SCENES = { weights, change };
const DRAWN = ["E", "W1", "W2", "b1", "b2"];

/** The table toggles: a second time leads back. @param {HTMLElement} box the <net-view> @param {string} [wanted] */
export function choose(box, wanted) {
  const { view = VIEWS[0] } = box;
  const next = wanted ?? VIEWS[(VIEWS.indexOf(view) + 1) % VIEWS.length];
  box.view = next === "table" && view === "table" ? (box.last ?? VIEWS[0]) : next;
  if (box.view !== "table") box.last = box.view;
  draw(box);
}

export function draw(box) {
  const { view, given } = box;
  for (const button of box.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === view));
  box.part("drawing").hidden = view === "table";
  box.part("table").hidden = view !== "table";
  if (!given?.net) return;
  if (view === "table") tabulate(box);
  else paint(box);
}

async function tabulate(box) {
  const { tables } = await import("./game-table.js");
  tables(box.part("table"), box.given);
}

function paint(box) {
  const { view, given } = box;
  const { tSummary, tLargest, tNoStep } = box.dataset;
  const changed = view === "change";
  const summary = fill(changed ? (given.before ? tLargest : tNoStep) : tSummary, { n: given.largest.toPrecision(2) });
  box.paint(scene(given, SCENES[view]), summary, given.answered && view === "values");
  box.part("note").textContent = changed ? summary : "";
}

function weights({ net }, told) {
  const option = ofOptions(told.map((word) => net.b2[word]));
  return { hidden: [...net.b1].map(clamp), option, edges: strongest(net, told, { q: net.g }) };
}

function change({ net, before, largest }, told) {
  if (!before) return { hidden: Array(H).fill(0), option: told.map(() => 0), edges: [] };
  const by = (name) => net[name].map((value, at) => value - before[name][at]);
  const moved = Object.fromEntries(DRAWN.map((name) => [name, by(name)]));
  const scaled = (value) => clamp(value / (largest || 1));
  const option = told.map((word) => scaled(moved.b2[word]));
  return { hidden: [...moved.b1].map(scaled), option, edges: strongest(moved, told, {}, largest) };
}

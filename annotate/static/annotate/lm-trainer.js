// <lm-trainer>: the loop of the game, around a form that works without it. Show, answer, tell, step, gather, go on.

import "./context-panel.js";
import "./net-view.js";
import { Player } from "./game-player.js";
import { showOptions, showSentence, spoken } from "./game-question.js";
import { markPhase, showCounts } from "./game-status.js";
import { showResult, spokenResult } from "./game-result.js";
import { readStart } from "./tinynet/f16.js";
import { PHASES } from "./tinynet/round.js";
import { fill } from "./words.js";

const MOVE = 300; // ms until the nodes go to their new values

class LmTrainer extends HTMLElement {
  connectedCallback() {
    const given = document.getElementById("game-data");
    if (!given) return;
    this.player = new Player(JSON.parse(given.textContent));
    this.view = this.part("view");
    this.options = [...this.querySelectorAll(".option")];
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    const acts = { V: () => this.view.cycle(), ArrowLeft: () => this.reach(-1), ArrowRight: () => this.reach(1) };
    this.keyed = ({ detail }) => acts[detail.name]?.();
    document.addEventListener("key", this.keyed);
    this.addEventListener("click", (event) => this.clicked(event));
    this.addEventListener("submit", (event) => this.submitted(event));
    this.addEventListener("change", (event) => this.changed(event));
    this.explained(document.getElementById("explain"));
    this.ask();
    this.load();
    this.around();
  }

  /** The drawer's own script comes when the drawer opens. */
  explained(drawer) {
    if (drawer?.popover) drawer.addEventListener("toggle", () => import("./explain-drawer.js"), { once: true });
    else if (drawer) import("./explain-drawer.js");
  }

  disconnectedCallback() {
    document.removeEventListener("key", this.keyed);
    this.outbox?.close();
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  /** Saving, exam and end are loaded when they are wanted. */
  async around() {
    const { Around } = await import("./game-around.js");
    this.out = new Around(this);
    await this.out.opened();
  }

  async load() {
    const { lmt, version } = this.player.dealt.start;
    this.view.say("loading");
    try {
      const response = await fetch(lmt);
      if (!response.ok) throw new Error(String(response.status));
      this.player.arrive(readStart(await response.arrayBuffer()));
      this.version = version;
    } catch {
      return this.view.say("failed");
    }
    this.view.say("ready");
    this.draw();
    if (this.player.answered) this.tell();
    return this.out?.arrived();
  }

  ask() {
    const { player } = this;
    clearTimeout(this.moving);
    this.part("board").dataset.answered = "false";
    this.part("result").hidden = true;
    this.part("free").value = "";
    this.part("group").setAttribute("aria-label", spoken(player, this.dataset));
    this.since = performance.now();
    this.question();
    const { sentences } = player.paragraph;
    this.part("context").show(sentences.slice(0, player.item.sentence));
    markPhase(this, player.round.phase);
    this.draw();
  }

  question() {
    const { player } = this;
    showSentence(this.part("sentence"), player, this.dataset);
    showOptions(this.options, player, this.dataset);
    this.part("board").dataset.picking = String(player.round.mode === "correction" && player.round.picked === null && !player.answered);
    showCounts((name) => this.part(name), player, this.dataset);
  }

  draw() {
    const { player } = this;
    if (!player.net || !player.item) return;
    const options = player.options();
    const last = player.facts.findLast((fact) => fact?.network)?.network;
    const given = { net: player.net, before: player.copies.at(-1) ?? null, largest: last?.change.largest ?? 0 };
    this.view.show({ ...given, pass: player.pass(), options, answered: Boolean(player.answered), words: options.map((id) => player.word(id)), vocabulary: player.vocabulary });
    if (player.round.phase === PHASES[0] && player.round.mode !== "correction") markPhase(this, PHASES[1]);
  }

  /** @param {{choice?: number, free?: string}} said */
  answer(said) {
    const { player } = this;
    if (!player.item || player.answered || this.part("board").dataset.picking === "true") return;
    player.answer({ ...said, activeMs: Math.round(performance.now() - this.since) });
    this.tell();
    this.part("next").focus({ preventScroll: true });
  }

  /** What the answer showed; then the step, then the context. */
  tell() {
    const { player } = this;
    this.part("board").dataset.answered = "true";
    this.question();
    player.enter(PHASES[2]);
    markPhase(this, PHASES[2]);
    showResult(this.part("result"), player.answered, player, this.dataset);
    this.part("said").textContent = spokenResult(player.answered, player, this.dataset);
    this.draw();
    this.out?.keep();
    clearTimeout(this.moving);
    if (this.calm.matches) this.gather();
    else this.moving = setTimeout(() => this.gather(), MOVE);
  }

  gather() {
    const { player } = this;
    player.enter(PHASES[3]);
    this.draw();
    player.enter(PHASES[4]);
    markPhase(this, PHASES[4]);
    this.part("context").show(player.paragraph.sentences.slice(0, player.item.sentence + 1));
    this.out?.influence();
  }

  next() {
    const { player } = this;
    if (!player.answered) return;
    player.next();
    if (!player.item) return this.out?.end();
    this.ask();
    this.part("sentence").focus({ preventScroll: true });
    this.part("sentence").scrollIntoView({ block: "nearest" });
  }

  undo() {
    if (this.out?.undo()) return;
    if (!this.player.undo()) return;
    this.out?.keep();
    this.ask();
    this.part("said").textContent = this.dataset.tUndone;
    this.part("sentence").focus({ preventScroll: true });
  }

  pick(place) {
    this.player.pick(Number(place));
    this.question();
    markPhase(this, PHASES[1]);
    this.part("sentence").focus({ preventScroll: true });
  }

  /** Focus to the next word that may be the wrong one. @param {number} by */
  reach(by) {
    const words = [...this.querySelectorAll(".pick")];
    const at = words.indexOf(document.activeElement);
    words[at < 0 ? Math.min(0, by) : (at + by) % words.length]?.focus();
    if (at + by < 0) words.at(-1)?.focus();
  }

  clicked({ target }) {
    const button = target.closest("button");
    if (button?.dataset.place) this.pick(button.dataset.place);
    const name = button?.dataset.part;
    const act = { next: () => this.next(), undo: () => this.undo(), again: () => this.load() }[name] ?? this.out?.acts[name];
    act?.();
  }

  submitted(event) {
    if (event.target !== this.part("form")) return;
    event.preventDefault();
    const { submitter } = event;
    const free = this.part("free").value.trim();
    if (submitter?.name === "choice") this.answer({ choice: Number(submitter.value) });
    else if (free) this.answer({ free });
    else this.part("free").focus();
  }

  changed({ target }) {
    if (target.name === "step") this.player.eta = Number(target.dataset.eta);
    else if (target.dataset.part === "use") {
      this.player.contextOn = target.checked;
      this.draw();
    } else this.out?.changed(target);
  }
}

customElements.define("lm-trainer", LmTrainer);

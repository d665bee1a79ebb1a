// <lm-trainer>: the loop of the game, around a form that works without it. It asks, takes the answer and goes on. The
// network comes in a second load; what an answer shows, and what goes on around it, in a third, with the first answer.

import { Player } from "./game-player.js";
import { showOptions, showSentence, spoken } from "./game-question.js";
import { markPhase, showCounts } from "./game-status.js";

const PAINTED = 50; // ms after which an answer is on the screen

class LmTrainer extends HTMLElement {
  connectedCallback() {
    const given = document.getElementById("game-data");
    if (!given) return;
    this.player = new Player(JSON.parse(given.textContent));
    this.words = this.part("words").dataset;
    this.options = [...this.querySelectorAll(".option")];
    this.keyed = ({ detail }) => this.key(detail.name);
    document.addEventListener("key", this.keyed);
    this.addEventListener("click", (event) => this.clicked(event));
    this.addEventListener("submit", (event) => this.submitted(event));
    this.addEventListener("change", (event) => this.changed(event));
    this.explained(document.getElementById("explain"));
    this.ask();
    this.follow();
  }

  disconnectedCallback() {
    document.removeEventListener("key", this.keyed);
    this.around?.outbox?.close();
  }

  /** Keys that press no button in sight. */
  key(name) {
    if (name === "V") this.show?.view.choose();
    if (name === "Z") this.undo();
    if (name.startsWith("Arrow")) this.reach(name === "ArrowLeft" ? -1 : 1);
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  /** The drawer's own script comes when the drawer opens. */
  explained(drawer) {
    if (drawer?.popover) drawer.addEventListener("toggle", () => import("./explain-drawer.js"), { once: true });
    else if (drawer) import("./explain-drawer.js");
  }

  /** The second load. */
  async follow() {
    const { Show } = await import("./game-show.js");
    this.show = new Show(this);
    await this.show.load();
  }

  /** What every wish but the next question needs: loaded at the first of them. Null where it could not be had. */
  rest() {
    this.resting ??= this.third().catch(() => {
      this.resting = null; // the next wish tries again
      this.show?.view.say("failed");
      return null;
    });
    return this.resting;
  }

  async third() {
    const names = [import("./game-around.js"), import("./game-judge.js"), import("./game-tell.js")];
    const [{ Around }, { Judge }, { Tell }] = await Promise.all(names);
    new Judge(this.player).catchUp();
    [this.around, this.told] = [new Around(this), new Tell(this)];
    this.around.open();
    this.arrived();
    if (this.player.answered) this.reachResult();
    return this.around;
  }

  /** The network or its judge is here: what was answered without it is told. */
  arrived() {
    if (!this.told || !this.player.item) return;
    if (this.player.answered) return void this.tell();
    this.question();
    this.told.ask();
  }

  async again() {
    await this.rest();
    await this.show.load();
  }

  ask() {
    const { player } = this;
    this.part("board").dataset.answered = "false";
    this.part("result").hidden = true;
    this.part("free").value = "";
    this.part("group").setAttribute("aria-label", spoken(player, this.words));
    this.since = performance.now();
    this.question();
    markPhase(this, player.round.phase);
    this.show?.draw();
    this.told?.ask();
  }

  /** The sentence, the four words and the counters as they stand. */
  question() {
    const { player } = this;
    const { mode, picked, past } = player.round;
    showSentence(this.part("sentence"), player, this.words);
    showOptions(this.options, player, this.words);
    showCounts((name) => this.part(name), player, this.words);
    this.part("board").dataset.answered = String(Boolean(player.answered));
    this.part("board").dataset.picking = String(mode === "correction" && picked === null && !player.answered);
    this.part("board").dataset.undo = String(past.length > 0);
  }

  /** @param {{choice?: number, free?: string}} said */
  answer(said) {
    const { player } = this;
    if (!player.item || player.answered || this.part("board").dataset.picking === "true") return;
    player.answer({ ...said, activeMs: Math.round(performance.now() - this.since) });
    this.tell();
    this.part("next").focus({ preventScroll: true });
    this.reachResult();
  }

  reachResult() {
    this.part("network").scrollIntoView({ block: "nearest" });
  }

  tell() {
    this.question();
    if (!this.told) return void this.rest();
    this.told.tell();
    setTimeout(() => this.around.keep(), PAINTED);
    return undefined;
  }

  next() {
    const { player } = this;
    if (!player.answered) return;
    player.next();
    if (player.item) this.reachSentence();
    else this.rest().then((around) => around?.end());
  }

  reachSentence() {
    this.ask();
    this.part("sentence").focus({ preventScroll: true });
    this.part("sentence").scrollIntoView({ block: "nearest" });
  }

  undo() {
    if (this.around?.undo() || !this.player.undo()) return;
    this.around?.keep();
    this.reachSentence();
    this.part("said").textContent = this.words.tUndone;
  }

  pick(place) {
    this.player.pick(Number(place));
    this.question();
    this.show?.draw();
    this.part("sentence").focus({ preventScroll: true });
  }

  /** Focus to the next word that may be the wrong one. @param {number} by */
  reach(by) {
    const words = [...this.querySelectorAll(".pick")];
    const at = words.indexOf(document.activeElement);
    words.at(at < 0 ? Math.min(0, by) : (at + by) % words.length)?.focus();
  }

  clicked({ target }) {
    const button = target.closest("button");
    if (button?.dataset.place) this.pick(button.dataset.place);
    const name = button?.dataset.part;
    const act = { next: () => this.next(), undo: () => this.undo(), again: () => this.again() }[name];
    if (act) act();
    else if (name) this.rest().then((around) => around?.acts[name]?.());
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
      this.show?.draw();
    } else if (target.form === this.part("settings")) this.rest().then((around) => around?.changed(target));
  }
}

customElements.define("lm-trainer", LmTrainer);

// <lm-trainer>: the loop of the game, around a form that works without it. It asks, takes the answer and goes on; what
// an answer shows, and what goes on around it, come in a second load, with the network.

import { Player } from "./game-player.js";
import { showOptions, showSentence, spoken } from "./game-question.js";
import { markPhase, showCounts } from "./game-status.js";

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
    if (name === "V") this.show?.view.cycle();
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

  /** The second load. An answer given before it is told when it is here. */
  async follow() {
    const [{ Show }, { Around }] = await Promise.all([import("./game-show.js"), import("./game-around.js")]);
    this.show = new Show(this);
    this.around = new Around(this);
    this.show.ask();
    if (this.player.answered) this.show.tell();
    this.around.opened();
    await this.load();
  }

  async load() {
    const { lmt, version } = this.player.dealt.start;
    this.show.view.say("loading");
    try {
      const [{ readStart }, response] = await Promise.all([import("./tinynet/f16.js"), fetch(lmt)]);
      if (!response.ok) throw new Error(String(response.status));
      this.player.arrive(readStart(await response.arrayBuffer()));
      this.version = version;
    } catch {
      return this.show.view.say("failed");
    }
    this.show.view.say("ready");
    this.show.draw();
    if (this.player.answered) this.show.tell();
    return this.around.arrived();
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
    this.show?.ask();
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
    this.part("network").scrollIntoView({ block: "nearest" });
    this.part("next").focus({ preventScroll: true });
  }

  tell() {
    this.question();
    this.show?.tell();
    this.around?.keep();
  }

  next() {
    const { player } = this;
    if (!player.answered) return;
    player.next();
    if (player.item) this.reachSentence();
    else this.around?.end();
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
    const act = { next: () => this.next(), undo: () => this.undo(), again: () => this.load() }[name] ?? this.around?.acts[name];
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
      this.show?.draw();
    } else this.around?.changed(target);
  }
}

customElements.define("lm-trainer", LmTrainer);

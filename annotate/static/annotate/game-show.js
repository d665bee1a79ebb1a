// What is seen beside the question: the drawing, what an answer showed, the step, the context with its marks.

import "./context-panel.js";
import "./net-view.js";
import { showResult, spokenResult } from "./game-result.js";
import { markPhase } from "./game-status.js";
import { sliced } from "./slices.js";
import { influences } from "./tinynet/influence.js";
import { PHASES } from "./tinynet/round.js";

const MOVE = 300; // ms until the nodes go to their new values

export class Show {
  constructor(trainer) {
    Object.assign(this, { trainer, view: trainer.part("view"), calm: matchMedia("(prefers-reduced-motion: reduce)") });
  }

  get player() {
    return this.trainer.player;
  }

  read(until, effects) {
    this.trainer.part("context").show(this.player.paragraph.sentences.slice(0, until), effects);
  }

  ask() {
    clearTimeout(this.moving);
    this.read(this.player.item.sentence);
    this.draw();
  }

  /** Of the options nothing before the answer; in correction not even the words before the wrong one is picked. */
  draw() {
    const { player } = this;
    if (!player.net || !player.item) return;
    const { mode, phase, picked } = player.round;
    const answered = Boolean(player.answered);
    const hidden = mode === "correction" && picked === null && !answered;
    const options = player.options();
    const last = player.facts.findLast((fact) => fact?.network)?.network;
    this.view.show({
      ...{ net: player.net, pass: player.pass(), options, answered, vocabulary: player.vocabulary },
      words: options.map((id) => (hidden ? "" : player.word(id))),
      before: player.copies.at(-1) ?? null,
      largest: last?.change.largest ?? 0,
    });
    if (phase === PHASES[0] && !hidden) player.enter(PHASES[1]);
    markPhase(this.trainer, player.round.phase);
  }

  /** What the answer showed; then the step, then the context. */
  tell() {
    const { player, trainer } = this;
    player.enter(PHASES[2]);
    markPhase(trainer, PHASES[2]);
    showResult(trainer.part("result"), player.answered, player, trainer.words);
    trainer.part("said").textContent = spokenResult(player.answered, player, trainer.words);
    clearTimeout(this.moving);
    if (this.calm.matches) return this.gather();
    this.draw();
    this.moving = setTimeout(() => this.gather(), MOVE);
    return undefined;
  }

  gather() {
    const { player, trainer } = this;
    player.enter(PHASES[3]);
    this.draw();
    player.enter(PHASES[4]);
    markPhase(trainer, PHASES[4]);
    this.read(player.item.sentence + 1);
    return this.influence();
  }

  /** Which words of the context helped, after the answer is painted. */
  async influence() {
    const { player } = this;
    const { network, item } = player.answered;
    if (!network?.pass.example.context.length) return;
    const effects = new Map();
    await sliced(influences(network.before, network.pass.example, item.gold), ({ word, effect }) => effects.set(word, effect));
    if (player.answered?.item === item) this.read(item.sentence + 1, effects);
  }
}

// What is seen after an answer: who was right and why, the step, the context with its marks.

import "./context-panel.js";
import { showResult, spokenResult } from "./game-result.js";
import { markPhase } from "./game-status.js";
import { sliced } from "./slices.js";
import { influences } from "./tinynet/influence.js";
import { PHASES } from "./tinynet/round.js";

const MOVE = 300; // ms until the nodes go to their new values

export class Tell {
  constructor(trainer) {
    Object.assign(this, { trainer, calm: matchMedia("(prefers-reduced-motion: reduce)") });
  }

  get player() {
    return this.trainer.player;
  }

  read(until, effects) {
    this.trainer.part("context").show(this.player.paragraph.sentences.slice(0, until), effects);
  }

  ask() {
    this.rest();
    this.read(this.player.item.sentence);
  }

  rest() {
    cancelAnimationFrame(this.painting);
    clearTimeout(this.moving);
  }

  /** What the answer showed; once that is painted the network, which costs as much again; then the step, the context. */
  tell() {
    const { player, trainer } = this;
    player.enter(PHASES[2]);
    markPhase(trainer, PHASES[2]);
    showResult(trainer.part("result"), player.answered, player, trainer.words);
    trainer.part("said").textContent = spokenResult(player.answered, player, trainer.words);
    this.rest();
    this.painting = requestAnimationFrame(() => (this.moving = setTimeout(() => this.move())));
  }

  move() {
    if (this.calm.matches) return this.gather();
    this.trainer.show?.draw();
    this.moving = setTimeout(() => this.gather(), MOVE);
    return undefined;
  }

  gather() {
    const { player, trainer } = this;
    if (!player.answered) return undefined; // the paragraph ended meanwhile
    player.enter(PHASES[3]);
    trainer.show?.draw();
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

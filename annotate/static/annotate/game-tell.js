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
    clearTimeout(this.moving);
    this.read(this.player.item.sentence);
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
    trainer.show?.draw();
    this.moving = setTimeout(() => this.gather(), MOVE);
    return undefined;
  }

  gather() {
    const { player, trainer } = this;
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

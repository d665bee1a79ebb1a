// The network as a player and a pupil: what it says of an item, the step on it, and the way back.

import { burst, settled } from "./tinynet/burst.js";
import { among, guess, suspect } from "./tinynet/guess.js";
import { forward, loss, twin } from "./tinynet/net.js";
import { shown, withWrongWord } from "./tinynet/round.js";
import { change, digest, learn, parts, passes, restore, step } from "./tinynet/step.js";

const KEPT = 16; // copies of the network, as many as the round can undo

export class Judge {
  /** @param {import("./game-player.js").Player} player whose network it is */
  constructor(player) {
    this.player = player;
    player.judge = this;
  }

  /** Steps on what was answered before the network and its judge were here. */
  catchUp() {
    for (const row of this.player.net ? this.player.round.rows : []) {
      if (row.kind === "undo") this.back();
      else this.settle(row);
    }
  }

  settle(row) {
    const { player } = this;
    const { outcome, ...network } = this.judged(player.round.items[row.item], row.shown, row.eta, row.context_on);
    player.round = settled(player.round, row.number, outcome);
    const fact = player.facts.find(({ number }) => number === row.number);
    if (!fact) return;
    Object.assign(fact, { network });
    const { counts } = player.round;
    player.round.counts = { ...counts, network: counts.network + network.right };
  }

  keep(copy) {
    this.player.copies = [...this.player.copies, copy].slice(-KEPT);
  }

  /** What the network says of an item, and the step on it. */
  judged(item, options, eta, contextOn) {
    const { net } = this.player;
    const before = twin(net);
    this.keep(before);
    const evaluated = passes(net, this.player.example(item, true));
    const pass = contextOn ? evaluated.whole : evaluated.alone;
    const [full, bare] = [evaluated.whole, evaluated.alone].map((one) => among(one, options));
    const said = contextOn ? full : bare;
    const reasons = options.map((word) => parts(net, pass, word));
    const found = this.suspected(item, pass.example.context);
    const at = options.indexOf(item.gold);
    const { after, outcome } = learn(net, evaluated, { gold: item.gold, eta, contextOn });
    return {
      outcome,
      before,
      pass,
      found,
      choice: said.choice,
      right: said.choice === item.gold && found === item.position,
      shares: said.shares,
      p: said.p,
      share: full.shares[at],
      alone: bare.shares[at],
      loss: [outcome.loss_before, outcome.loss_after],
      with: outcome.p_with,
      without: outcome.p_without,
      after: among(after, options).shares,
      reasons,
      change: change(before, net, eta),
    };
  }

  suspected(item, context) {
    const { net, paragraph, round } = this.player;
    if (round.mode !== "correction") return item.position;
    return suspect(net, withWrongWord(paragraph, item), item.choices, context);
  }

  /** Takes the last step back. */
  back() {
    restore(this.player.net, this.player.copies.pop());
  }

  /** The network answers by itself. @returns {import("./game-player.js").Fact} */
  playItself() {
    const { player } = this;
    const example = player.example();
    if (player.round.mode === "correction") player.pick(this.suspected(player.item, example.context));
    const { choice } = guess(player.net, example, shown(player.round));
    return player.answer({ choice, auto: true });
  }

  /** One step on an example of the practice stream, before `burst` counts it. @returns {number} its loss, in nats */
  practise({ example, gold }) {
    const { net, eta } = this.player;
    const pass = forward(net, example);
    step(net, pass, gold, eta);
    return loss(pass, gold);
  }

  burst(count, before) {
    const { player } = this;
    this.keep(before);
    player.round = burst(player.round, { count, eta: player.eta });
    player.facts.push(null);
  }

  /** Back to what the network was before any of this; a second call brings it back. */
  forget() {
    const { player } = this;
    const back = player.forgot ?? player.first;
    player.forgot = player.forgot ? null : twin(player.net);
    restore(player.net, back);
  }

  digest() {
    return digest(this.player.net);
  }
}

// What is played with: the network, the round, and what each answer showed. No DOM, no fetch, no words.

import { change, digest, forward, newborn, parts, restore, step, twin } from "./tinynet/net.js";
import * as rounds from "./tinynet/round.js";

const KEPT = 16; // copies of the network, as many as the round can undo

/**
 * What one answer showed. network is null until there is one.
 * @typedef {{number: number, item: import("./tinynet/round.js").Item, options: number[], choice: number|null,
 *   free: string, picked: number|null, right: boolean, auto: boolean, network: object|null}} Fact
 */

export class Player {
  constructor(dealt) {
    this.net = null;
    this.contextOn = true;
    this.deal(dealt);
  }

  /** @param {object} dealt as the server deals it @param {{keep?: boolean}} how keep: go on with the network as it is */
  deal(dealt, { keep = false } = {}) {
    const { mode, seed, items } = dealt;
    Object.assign(this, { dealt, paragraph: dealt.paragraph, round: rounds.begin({ mode, seed, items }) });
    Object.assign(this, { eta: dealt.start.eta, copies: [], facts: [], forgot: null });
    if (this.net && !keep) this.begin();
  }

  /** The network's file is here: steps on what was answered without it. */
  arrive({ net, vocabulary }) {
    Object.assign(this, { file: net, vocabulary });
    this.begin();
    for (const row of this.round.rows) {
      if (row.kind === "undo") restore(this.net, this.copies.pop());
      else this.settle(row);
    }
  }

  begin() {
    const { newborn: seed } = this.dealt.start;
    this.net = seed === null ? twin(this.file) : newborn(seed, this.file.u);
    this.first = twin(this.net);
  }

  settle(row) {
    const { outcome, ...network } = this.judge(this.round.items[row.item], row.shown, row.eta, row.context_on);
    this.round = rounds.settled(this.round, row.number, outcome);
    const fact = this.facts.find(({ number }) => number === row.number);
    if (!fact) return;
    Object.assign(fact, { network });
    this.round.counts = { ...this.round.counts, network: this.round.counts.network + network.right };
  }

  get item() {
    return rounds.current(this.round);
  }

  /** What was answered of the item that is asked, if anything. @returns {Fact|undefined} */
  get answered() {
    return rounds.PHASES.indexOf(this.round.phase) > 1 ? this.facts.at(-1) : undefined;
  }

  options() {
    return this.answered?.options ?? rounds.shown(this.round);
  }

  word(id) {
    return this.vocabulary?.words[id] ?? this.dealt.words[id];
  }

  sentence(item = this.item) {
    return this.paragraph.sentences[item.sentence];
  }

  gold(item = this.item) {
    return rounds.plain(rounds.cut(this.sentence(item), item.position).word);
  }

  example(item = this.item, contextOn = this.contextOn) {
    const whole = rounds.exampleOf(this.paragraph, item, this.vocabulary, this.round.mode);
    return contextOn ? whole : { ...whole, context: [] };
  }

  /** What the network sees of the item: in the phase of evaluation as it was before its step. */
  pass() {
    const { network } = this.answered ?? {};
    if (network && this.round.phase === "evaluation") return network.pass;
    return forward(this.net, network?.pass.example ?? this.example());
  }

  enter(phase) {
    this.round = rounds.inPhase(this.round, phase);
  }

  /** What the network says of an item, and the step on it. */
  judge(item, options, eta, contextOn) {
    const { net } = this;
    const before = twin(net);
    this.copies = [...this.copies, before].slice(-KEPT);
    const whole = this.example(item, true);
    const used = contextOn ? whole : { ...whole, context: [] };
    const [full, bare] = [whole, { ...whole, context: [] }].map((example) => rounds.guess(net, example, options));
    const said = contextOn ? full : bare;
    const pass = forward(net, used);
    const reasons = options.map((word) => parts(net, pass, word));
    const found = this.suspected(item, used.context);
    const at = options.indexOf(item.gold);
    const outcome = rounds.play(net, whole, { gold: item.gold, eta, contextOn });
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
      after: rounds.guess(net, used, options).shares,
      reasons,
      change: change(before, net, eta),
    };
  }

  suspected(item, context) {
    if (this.round.mode !== "correction") return item.position;
    return rounds.suspect(this.net, rounds.withWrongWord(this.paragraph, item), item.choices, context);
  }

  /** @param {{choice?: number, free?: string, activeMs?: number, auto?: boolean}} given @returns {Fact} */
  answer({ choice = null, free = "", activeMs = 0, auto = false }) {
    const { item, round, eta, contextOn } = this;
    const options = rounds.shown(round);
    const judged = this.net && this.judge(item, options, eta, contextOn);
    const { outcome, ...network } = judged ?? {};
    this.round = rounds.answer(round, {
      ...{ choice, free, activeMs, auto, eta, contextOn, outcome },
      goldWord: this.gold(item),
      network: Boolean(judged?.right),
    });
    const { number, right } = this.round.rows.at(-1);
    const fact = { number, item, options, choice, free, picked: round.picked, right, auto };
    this.facts.push({ ...fact, network: judged ? network : null });
    return this.facts.at(-1);
  }

  pick(place) {
    this.round = rounds.pick(this.round, place);
  }

  /** The network answers by itself. @returns {Fact} */
  playItself() {
    const example = this.example();
    if (this.round.mode === "correction") this.pick(this.suspected(this.item, example.context));
    const { choice } = rounds.guess(this.net, example, rounds.shown(this.round));
    return this.answer({ choice, auto: true });
  }

  /** One step on an example of the practice stream, before `burst` counts it. @returns {number} its loss, in nats */
  practise({ example, gold }) {
    const pass = forward(this.net, example);
    step(this.net, pass, gold, this.eta);
    return Math.log(pass.sum) + pass.top - pass.z[gold];
  }

  burst(count, before) {
    this.copies = [...this.copies, before].slice(-KEPT);
    this.round = rounds.burst(this.round, { count, eta: this.eta });
    this.facts.push(null);
  }

  next() {
    this.round = rounds.advance(this.round);
  }

  /** Takes the last answer or burst back, with its step. @returns {boolean} whether there was one */
  undo() {
    if (!this.round.past.length) return false;
    this.round = rounds.undo(this.round);
    this.facts.pop();
    if (this.net) restore(this.net, this.copies.pop());
    return true;
  }

  /** Back to what the network was before any of this; a second call brings it back. */
  forget() {
    const back = this.forgot ?? this.first;
    this.forgot = this.forgot ? null : twin(this.net);
    restore(this.net, back);
  }

  digest() {
    return digest(this.net);
  }
}

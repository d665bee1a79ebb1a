// What is played with: the round, what each answer showed, and the network once it is here. No DOM, no fetch, no words.

import * as rounds from "./tinynet/round.js";

/**
 * What one answer showed. network is null until one has judged it.
 * @typedef {{number: number, item: import("./tinynet/round.js").Item, options: number[], choice: number|null,
 *   free: string, picked: number|null, right: boolean, auto: boolean, network: object|null}} Fact
 */

export class Player {
  constructor(dealt) {
    Object.assign(this, { net: null, judge: null, contextOn: true });
    this.deal(dealt);
  }

  /** @param {object} dealt as the server deals it @param {{keep?: boolean}} how keep: go on with the network as it is */
  deal(dealt, { keep = false } = {}) {
    const { mode, seed, items } = dealt;
    Object.assign(this, { dealt, paragraph: dealt.paragraph, round: rounds.begin({ mode, seed, items }) });
    Object.assign(this, { eta: dealt.start.eta, copies: [], facts: [], forgot: null });
    if (this.net && !keep) this.begin();
  }

  /** The network is here. made: a new one of a newborn's seed, or null for the trained start */
  arrive({ vocabulary, made }) {
    Object.assign(this, { vocabulary, made });
    this.begin();
    this.judge?.catchUp();
  }

  begin() {
    const { newborn } = this.dealt.start;
    [this.net, this.first] = [this.made(newborn), this.made(newborn)];
  }

  /** What steps on an answer, null as long as something for it is missing. */
  get stepping() {
    return this.net ? this.judge : null;
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

  enter(phase) {
    this.round = rounds.inPhase(this.round, phase);
  }

  /** @param {{choice?: number, free?: string, activeMs?: number, auto?: boolean}} given @returns {Fact} */
  answer({ choice = null, free = "", activeMs = 0, auto = false }) {
    const { item, round, eta, contextOn } = this;
    const options = rounds.shown(round);
    const judged = this.stepping?.judged(item, options, eta, contextOn);
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

  next() {
    this.round = rounds.advance(this.round);
  }

  /** Takes the last answer or burst back, with its step. @returns {boolean} whether there was one */
  undo() {
    if (!this.round.past.length) return false;
    this.round = rounds.undo(this.round);
    this.facts.pop();
    this.stepping?.back();
    return true;
  }
}

// The network on the page: its file, its drawing, and its exam before anything is answered.

import "./net-view.js";
import { Exam } from "./game-exam.js";
import { markPhase } from "./game-status.js";
import { forward, newborn, twin } from "./tinynet/net.js";
import { PHASES } from "./tinynet/round.js";

export class Show {
  constructor(trainer) {
    Object.assign(this, { trainer, view: trainer.part("view"), exam: new Exam(trainer) });
  }

  get player() {
    return this.trainer.player;
  }

  async load() {
    const { lmt, version } = this.player.dealt.start;
    this.view.say("loading");
    try {
      const [{ readStart }, response] = await Promise.all([import("./tinynet/f16.js"), fetch(lmt)]);
      if (!response.ok) throw new Error(String(response.status));
      const { net, vocabulary } = readStart(await response.arrayBuffer());
      const made = (seed) => (seed === null ? twin(net) : newborn(seed, net.u));
      this.player.arrive({ vocabulary, made });
      this.version = version;
    } catch {
      return this.view.say("failed");
    }
    this.view.say("ready");
    this.draw();
    this.trainer.arrived();
    return this.exam.begin();
  }

  /** What the network sees of the item: in the phase of evaluation as it was before its step. */
  pass() {
    const { player } = this;
    const { network } = player.answered ?? {};
    if (network && player.round.phase === "evaluation") return network.pass;
    return forward(player.net, network?.pass.example ?? player.example());
  }

  /** Of the options nothing before the answer; in correction not even the words before the wrong one is picked. */
  draw() {
    const { player } = this;
    if (!player.net || !player.item) return;
    const { mode, phase, picked } = player.round;
    const answered = Boolean(player.answered?.network);
    const hidden = mode === "correction" && picked === null && !player.answered;
    const options = player.options();
    const last = player.facts.findLast((fact) => fact?.network)?.network;
    this.view.show({
      ...{ net: player.net, pass: this.pass(), options, answered, vocabulary: player.vocabulary },
      words: options.map((id) => (hidden ? "" : player.word(id))),
      before: player.copies.at(-1) ?? null,
      largest: last?.change.largest ?? 0,
    });
    if (phase === PHASES[0] && !hidden) player.enter(PHASES[1]);
    markPhase(this.trainer, player.round.phase);
  }
}

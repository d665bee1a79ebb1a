// What goes on around the questions: answers kept, the end of a paragraph, what is dealt next.

import { fill } from "./words.js";

const BANNERS = { waiting: "offline", refused: "refused", "signed-out": "signed-out" };

export class Around {
  constructor(trainer) {
    this.trainer = trainer;
    this.words = trainer.words;
    this.saving = trainer.part("save").checked;
    this.acts = {
      play: () => this.play(),
      deal: () => this.deal(),
      "replay-again": () => this.again(),
      forget: () => this.forget(),
      opinion: () => this.opinion(),
    };
  }

  get player() {
    return this.trainer.player;
  }

  /** What a larger model stored about the blank: asked for by a press, and only after the answer. */
  async opinion() {
    const { askOpinion } = await import("./game-opinion.js");
    await askOpinion(this.part("opinion-box"), this.player);
  }

  part(name) {
    return this.trainer.part(name);
  }

  /** The first paragraph is here, or the next one. Its end waits for this, however fast it was played. */
  open() {
    this.opening = this.opened();
    return this.opening;
  }

  async opened() {
    this.outbox?.close();
    this.outbox = null;
    const { dealt } = this.player;
    if (this.saving && dealt.attempts) {
      const { Outbox } = await import("./game-outbox.js");
      this.outbox = new Outbox(dealt, (state) => this.told(state));
      await this.keep();
    }
    await this.exam?.begin();
  }

  get exam() {
    return this.trainer.show?.exam;
  }

  told(state) {
    for (const name of Object.values(BANNERS)) this.part(name).hidden = BANNERS[state] !== name;
  }

  async keep() {
    await this.outbox?.keep(this.player.round.rows);
  }

  async play() {
    const { AutoPlay } = await import("./auto-play.js");
    this.auto ??= new AutoPlay(this.trainer);
    this.auto.toggle();
  }

  async end() {
    const { showEnd } = await import("./game-end.js");
    const { player } = this;
    this.part("board").hidden = true;
    this.part("end").hidden = false;
    showEnd(this.part("end"), player, this.words);
    this.part("end-head").focus();
    const round = player.dealt;
    if (player.net) await this.exam.again();
    this.part("exam-end").textContent = this.part("exam").textContent;
    await this.opening;
    const { outbox } = this;
    if (!outbox || !player.net) return;
    const found = await outbox.finish(player.judge.digest());
    outbox.close();
    this.outbox = this.outbox === outbox ? null : this.outbox;
    if (found && player.dealt === round) this.replayed(found);
  }

  replayed({ replay, largest }) {
    const words = { same: this.words.tReplaySame, differs: this.words.tReplayDiffers, none: this.words.tReplayNone }[replay];
    this.part("replay").textContent = fill(words, { n: largest?.toExponential(0) ?? "" });
    this.part("replay").dataset.replay = replay;
  }

  /** At the end only what was forgotten comes back, and an answer where nothing is kept. */
  undo() {
    if (this.part("end").hidden) return false;
    if (this.player.forgot) this.forget();
    else if (!this.player.dealt.finish || !this.saving) this.back();
    return true;
  }

  back() {
    this.part("end").hidden = true;
    this.part("board").hidden = false;
    this.player.undo();
    this.trainer.ask();
  }

  forget() {
    this.part("doubt").open = false; // Z now takes this back, not a suggestion
    this.player.judge.forget();
    const forgot = Boolean(this.player.forgot);
    this.part("forget-words").textContent = forgot ? this.words.tBringBack : this.words.tForget;
    this.part("said").textContent = forgot ? this.words.tForgotten : this.words.tBack;
  }

  /** The same paragraph again; what is answered now is not kept. */
  async again() {
    const { dealt } = this.player;
    await this.begin({ ...dealt, round: null, attempts: null, finish: null }, true);
  }

  /** @param {HTMLInputElement} control a setting of the round */
  async changed(control) {
    if (control.name === "mode" || control.name === "start") await this.deal({ fresh: control.name === "start" });
    if (control !== this.part("save")) return;
    if (control.dataset.may === "false") control.checked = false;
    this.part("may-save").hidden = control.checked || control.dataset.may === "true";
    this.saving = control.checked;
    if (!this.saving) this.outbox?.close();
    if (!this.saving) this.outbox = null;
    else if (!this.player.round.rows.length) await this.deal({ fresh: true });
  }

  /** The next paragraph. A kept round begins from the start, so that the server can play it again; so does a fresh one. */
  async deal({ fresh = false } = {}) {
    const chosen = new FormData(this.part("settings"));
    const names = fresh ? ["mode", "start"] : ["mode", "start", "step"];
    const wanted = Object.fromEntries(names.map((name) => [name, chosen.get(name)]));
    const response = await this.asked(wanted).catch(() => null);
    this.part("no-deal").hidden = Boolean(response?.ok);
    if (!response?.ok) return;
    history.replaceState(null, "", `?${new URLSearchParams(wanted)}`);
    await this.begin(await response.json(), !fresh && !this.saving);
  }

  async asked(wanted) {
    const headers = { Accept: "application/json" };
    if (!this.saving) return fetch(`${this.words.paragraphUrl}?${new URLSearchParams(wanted)}`, { headers });
    const { open } = await import("./game-outbox.js");
    return open(this.words.roundsUrl, wanted);
  }

  async begin(dealt, keep) {
    const { trainer, player } = this;
    const { eta } = player;
    player.deal(dealt, { keep });
    if (keep) player.eta = eta;
    this.part("end").hidden = true;
    this.part("board").hidden = false;
    this.part("repeat").hidden = !dealt.repeat;
    this.part("theme").textContent = dealt.paragraph.theme;
    for (const box of trainer.querySelectorAll("[name=step]")) box.checked = Number(box.dataset.eta) === player.eta;
    trainer.reachSentence();
    if (trainer.show && trainer.show.version !== dealt.start.version) await trainer.show.load();
    await this.open();
  }
}

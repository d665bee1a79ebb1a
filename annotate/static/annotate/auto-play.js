// Auto-play: the network answers. At 1 and 10 a second the paragraph's blanks, at 1,000 the practice stream.

import { counted } from "./build.js";
import { drawLosses, LAST, tableOfLosses } from "./loss-line.js";
import { twin } from "./tinynet/net.js";
import { practiceExample, readPractice } from "./tinynet/practice.js";
import { fill } from "./words.js";

const FAST = 1_000;
const SLICE = 8; // ms of a frame
const MOST = 100_000; // examples of one burst
const SEEN = 250; // ms between two drawings

export class AutoPlay {
  constructor(trainer) {
    Object.assign(this, { trainer, losses: [], total: 0, running: false });
    this.touched = (event) => this.touch(event);
  }

  part(name) {
    return this.trainer.part(name);
  }

  toggle() {
    if (this.running) this.stop();
    else this.start();
  }

  async start() {
    const { player } = this.trainer;
    if (!player.net) return this.tell(this.trainer.words.tAutoNone);
    const speed = Number(this.trainer.querySelector("[name=speed]:checked").value);
    this.running = true;
    this.part("play").setAttribute("aria-pressed", "true");
    this.part("losses").hidden = false;
    document.addEventListener("keydown", this.touched, true);
    document.addEventListener("pointerdown", this.touched, true);
    if (speed < FAST) return this.tick(FAST / speed);
    if (!(await this.practice())) return this.stop(this.trainer.words.tAutoLost);
    return this.running && this.fast();
  }

  /** Any input stops it, and does nothing else. */
  touch(event) {
    if (event.target.closest?.("[data-part=play]") || event.key === " ") return;
    if (event.type === "keydown") {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
    this.stop();
  }

  stop(words = "") {
    this.running = false;
    clearTimeout(this.timer);
    document.removeEventListener("keydown", this.touched, true);
    document.removeEventListener("pointerdown", this.touched, true);
    this.part("play").setAttribute("aria-pressed", "false");
    this.finish?.();
    this.finish = null;
    this.tell(words);
  }

  tell(words) {
    const total = { n: counted(this.total), loss: this.mean() };
    this.part("auto-said").textContent = words || (this.total ? fill(this.trainer.words.tAutoSaid, total) : "");
  }

  mean() {
    const last = this.losses.slice(-100);
    return (last.reduce((sum, loss) => sum + loss, 0) / (last.length || 1)).toFixed(2);
  }

  /** One example of the paragraph, shown as a person's would be. */
  tick(wait) {
    const { trainer } = this;
    const { player } = trainer;
    if (player.answered) trainer.next();
    if (!player.item) return this.stop();
    const fact = player.judge.playItself();
    trainer.tell();
    this.add(fact.network.loss[0]);
    this.draw();
    this.timer = setTimeout(() => this.running && this.tick(wait), wait);
    return undefined;
  }

  add(loss) {
    this.total += 1;
    this.losses.push(loss);
    if (this.losses.length > LAST) this.losses.shift();
  }

  draw() {
    drawLosses(this.part("line"), this.losses);
    tableOfLosses(this.part("losses-rows"), this.losses, this.total);
    this.tell("");
  }

  async practice() {
    const { player } = this.trainer;
    if (this.stream && this.version === player.dealt.start.version) return true;
    try {
      const response = await fetch(player.dealt.start.practice);
      this.stream = readPractice(await response.arrayBuffer(), player.vocabulary);
      this.version = player.dealt.start.version;
    } catch {
      this.stream = null;
    }
    return this.stream !== null;
  }

  /** A thousand a second, in slices of a frame; one row and one undo for all of them. */
  fast() {
    const { trainer } = this;
    const { player } = trainer;
    if (player.answered) trainer.next();
    const before = twin(player.net);
    const { seed, stream, mode } = player.round;
    const begun = performance.now();
    let [count, drawnAt] = [0, begun];
    this.finish = () => count && this.book(count, before);
    const frame = (now) => {
      if (!this.running) return;
      const due = Math.min(MOST, Math.ceil(((now - begun) / 1_000) * FAST));
      const until = performance.now() + SLICE;
      while (count < due && performance.now() < until) {
        this.add(player.judge.practise(practiceExample(this.stream, { seed, number: stream + count, mode })));
        count += 1;
      }
      if (now - drawnAt > SEEN) {
        drawnAt = now;
        this.draw();
        trainer.show.draw();
      }
      if (count >= MOST) this.stop();
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  book(count, before) {
    const { trainer } = this;
    trainer.player.judge.burst(count, before);
    trainer.around.keep();
    trainer.show.exam.again();
    trainer.question();
    trainer.show.draw();
    this.draw();
  }
}

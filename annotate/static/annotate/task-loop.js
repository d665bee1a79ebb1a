// <task-loop>: around the screen of one task, whatever its kind. Sends the answer and goes on to the next task; a failed
// send keeps all and is repeated with the same key. Keeps the draft and the lease, and counts the time.

import { send, signedOut } from "./csrf.js";
import { Draft } from "./draft.js";
import { Lease } from "./lease.js";

const SECOND = 1_000;
const LONGEST = 60;
const IDLE = 60 * SECOND;

class TaskLoop extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form.task-form");
    this.times = { active: 0, hidden: 0, input: Date.now(), by: "" };
    this.draft = new Draft(this.form, {
      name: `draft:${this.dataset.user}:${this.dataset.slot}`,
      url: this.dataset.draftUrl,
      told: (state) => this.heard(state),
    });
    this.lease = new Lease({
      url: this.dataset.beatUrl,
      token: this.form.elements.token.value,
      until: this.dataset.leaseUntil,
      now: this.dataset.now,
      told: (state) => this.leased(state),
    });
    this.used = (event) => this.touch(event);
    this.left = () => document.hidden && this.draft.flush();
    document.addEventListener("keydown", this.used, true);
    document.addEventListener("pointerdown", this.used, true);
    document.addEventListener("visibilitychange", this.left);
    this.clock = setInterval(() => this.count(), SECOND);
    this.addEventListener("submit", (event) => this.submit(event));
    this.part("extend").addEventListener("click", () => this.lease.beat());
    this.part("retry-now").addEventListener("click", () => this.retry());
    if (this.draft.restore()) this.form.dispatchEvent(new CustomEvent("restored"));
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.used, true);
    document.removeEventListener("pointerdown", this.used, true);
    document.removeEventListener("visibilitychange", this.left);
    clearInterval(this.clock);
    clearInterval(this.waiting);
    this.lease.end();
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  touch(event) {
    this.times.input = Date.now();
    this.times.by = event.type === "keydown" ? "keyboard" : "pointer";
    this.lease.touch();
  }

  count() {
    if (document.hidden) this.times.hidden += SECOND;
    else if (Date.now() - this.times.input < IDLE) this.times.active += SECOND;
  }

  heard(state) {
    if (["conflict", "signed-out"].includes(state)) this.part(state).hidden = false;
    const saved = this.part("saved");
    if (saved && state === "saved") saved.hidden = false;
  }

  leased(state) {
    this.part("lease").hidden = state !== "ending";
    this.part("late").hidden = state !== "late";
  }

  submit(event) {
    if (event.defaultPrevented) return;
    if (event.target !== this.form) return this.draft.flush();
    event.preventDefault();
    if (this.sending) return;
    const { elements } = this.form;
    elements.active_ms.value = String(this.times.active);
    elements.hidden_ms.value = String(this.times.hidden);
    elements.by.value = this.times.by;
    this.draft.keep();
    this.draft.stop();
    this.attempt = { url: this.form.action, body: new FormData(this.form, event.submitter), failures: 0 };
    this.send();
  }

  async send() {
    this.sending = true;
    clearInterval(this.waiting);
    this.part("refusal").hidden = true;
    this.form.setAttribute("aria-busy", "true");
    let response = null;
    try {
      response = await send(this.attempt.url, this.attempt.body);
    } catch {
      response = null;
    }
    this.sending = false;
    this.form.removeAttribute("aria-busy");
    await this.answered(response);
  }

  /** @param {Response|null} response null where the network failed */
  async answered(response) {
    if (response?.ok) return this.next(await response.json());
    if (response && signedOut(response)) return this.halt("signed-out");
    if (response === null || response.status >= 500 || response.status === 429) {
      return this.wait(Number(response?.headers.get("Retry-After")) || 0);
    }
    const json = (response.headers.get("Content-Type") ?? "").includes("json");
    const refusal = json ? await response.json() : { sentence: this.dataset.tRefused, facts: {} };
    return this.refused(refusal);
  }

  next({ url }) {
    this.draft.forget();
    this.part("retry").hidden = true;
    location.assign(url);
  }

  halt(part) {
    this.draft.resume();
    this.part(part).hidden = false;
  }

  refused({ sentence, facts }) {
    this.draft.resume();
    const box = this.part("refusal");
    this.part("refusal-words").textContent = sentence;
    box.hidden = false;
    const field = facts?.field && document.getElementById(facts.field);
    field?.closest("details")?.setAttribute("open", "");
    if (field?.checkVisibility()) field.focus();
    else box.focus();
  }

  /** Waits 2, 4, 8 … 60 s, or as long as the server said, and sends the same again. */
  wait(asked) {
    this.attempt.failures += 1;
    let left = asked || Math.min(LONGEST, 2 ** this.attempt.failures);
    const tell = () => {
      this.part("retry-words").textContent = this.dataset.tRetry.replace("{n}", String(left));
    };
    this.part("retry").hidden = false;
    tell();
    this.waiting = setInterval(() => {
      left -= 1;
      if (left > 0) tell();
      else this.retry();
    }, SECOND);
  }

  retry() {
    if (!this.sending && this.attempt) this.send();
  }
}

customElements.define("task-loop", TaskLoop);

// <task-loop>: around the screen of one task, whatever its kind. Sends the answer and goes on to the next task; a failed
// send keeps all and is repeated with the same key. Keeps the draft and the lease, and counts the time.

import { send, signedOut } from "./csrf.js";
import { Draft } from "./draft.js";
import { Lease } from "./lease.js";
import { begin, by, read, touch, turn } from "./times.js";

const SECOND = 1_000;
const LONGEST = 60;
const INPUT = { keydown: "key", pointerdown: "press", wheel: "scroll" };

class TaskLoop extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form.task-form");
    this.name = `times:${this.dataset.user}:${this.dataset.slot}`;
    this.times = begin(performance.now(), document.hidden, JSON.parse(sessionStorage.getItem(this.name)));
    this.draft = new Draft(this.form, {
      name: `draft:${this.dataset.user}:${this.dataset.slot}`,
      url: this.dataset.draftUrl,
      told: (state) => this.heard(state),
    });
    if (this.dataset.beatUrl) this.lease = this.begun();
    this.used = (event) => this.touch(event);
    this.left = () => this.turn();
    for (const type of Object.keys(INPUT)) document.addEventListener(type, this.used, { capture: true, passive: true });
    for (const type of ["visibilitychange", "pagehide"]) document.addEventListener(type, this.left);
    this.addEventListener("submit", (event) => this.submit(event));
    this.part("skip-form")?.addEventListener("change", (event) => this.needNote(event.currentTarget));
    this.part("extend").addEventListener("click", () => this.lease.beat());
    this.part("retry-now").addEventListener("click", () => this.retry());
    if (this.draft.restore()) this.form.dispatchEvent(new CustomEvent("restored"));
  }

  disconnectedCallback() {
    for (const type of Object.keys(INPUT)) document.removeEventListener(type, this.used, { capture: true });
    for (const type of ["visibilitychange", "pagehide"]) document.removeEventListener(type, this.left);
    clearInterval(this.waiting);
    this.lease?.end();
  }

  begun() {
    return new Lease({
      url: this.dataset.beatUrl,
      token: this.form.elements.token.value,
      until: this.dataset.leaseUntil,
      now: this.dataset.now,
      told: (state) => this.leased(state),
    });
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  touch(event) {
    this.times = touch(this.times, performance.now(), INPUT[event.type]);
    this.lease?.touch();
  }

  /** The tab goes or comes back; what was counted outlives a reload. */
  turn() {
    this.times = turn(this.times, performance.now(), document.hidden);
    if (this.sent) return;
    sessionStorage.setItem(this.name, JSON.stringify(this.times));
    if (document.hidden) this.draft.flush();
  }

  /** @param {HTMLFormElement} form of the skip; what it hides, it hides until the person's own midnight */
  needNote(form) {
    form.elements.note.required = form.elements.reason.value === "other";
    if (form.elements.hide_until) form.elements.hide_until.value = new Date(new Date().setHours(24, 0, 0, 0)).toISOString();
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
    this.times = read(this.times, performance.now());
    elements.active_ms.value = String(Math.round(this.times.active));
    elements.hidden_ms.value = String(Math.round(this.times.hidden));
    elements.by.value = by(this.times);
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
    sessionStorage.removeItem(this.name);
    this.sent = true;
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

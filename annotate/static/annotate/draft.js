// What a person has typed and not sent: in this browser at once, on the server a second after the last input.

import { send, signedOut } from "./csrf.js";

const WAIT = 1_000;
const NOT_KEPT = new Set(["csrfmiddlewaretoken", "token", "draft_version", "active_ms", "hidden_ms", "by"]);

/** The fields of a form as names with lists of values. @param {HTMLFormElement} form @returns {Record<string, string[]>} */
export function fields(form) {
  const found = {};
  for (const [name, value] of new FormData(form)) {
    if (!NOT_KEPT.has(name)) (found[name] ??= []).push(String(value));
  }
  return found;
}

/** Puts such fields back. @param {HTMLFormElement} form @param {Record<string, string[]>} values */
export function put(form, values) {
  for (const field of form.elements) {
    if (!field.name || NOT_KEPT.has(field.name) || field.type === "submit") continue;
    const given = values[field.name] ?? [];
    if (["radio", "checkbox"].includes(field.type)) field.checked = given.includes(field.value);
    else if (given.length) [field.value] = given;
  }
}

export class Draft {
  /** @param {HTMLFormElement} form @param {{name: string, url: string, told: (state: string) => void}} where */
  constructor(form, { name, url, told }) {
    Object.assign(this, { form, name, url, told });
    this.form.addEventListener("input", () => this.typed());
    this.form.addEventListener("change", () => this.typed());
  }

  /** Puts back what this browser kept and the server never got. @returns {boolean} */
  restore() {
    const kept = this.read();
    if (!kept) return false;
    put(this.form, kept);
    this.plan();
    return true;
  }

  read() {
    try {
      return JSON.parse(localStorage.getItem(this.name));
    } catch {
      return null;
    }
  }

  keep() {
    try {
      localStorage.setItem(this.name, JSON.stringify(fields(this.form)));
    } catch {
      this.told("full");
    }
  }

  typed() {
    this.keep();
    this.plan();
  }

  plan() {
    clearTimeout(this.timer);
    if (!this.stopped && this.url) this.timer = setTimeout(() => this.save(), WAIT);
  }

  /** Nothing is saved any more: the answer is on its way, or another tab has the draft. */
  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  resume() {
    this.stopped = false;
  }

  forget() {
    localStorage.removeItem(this.name);
  }

  /** One request at a time, as each carries the version of the one before. */
  async save({ keepalive = false } = {}) {
    clearTimeout(this.timer);
    if (this.saving) return this.plan();
    this.saving = true;
    const sent = JSON.stringify(fields(this.form));
    try {
      const response = await send(this.url, new FormData(this.form), { keepalive });
      if (signedOut(response)) this.told("signed-out");
      else if (response.status === 412) this.stop() ?? this.told("conflict");
      else if (response.ok) this.saved((await response.json()).version, sent);
    } catch {
      this.keep();
    } finally {
      this.saving = false;
    }
    return undefined;
  }

  saved(version, sent) {
    this.form.elements.draft_version.value = String(version);
    if (sent === JSON.stringify(fields(this.form)) && !this.stopped) this.forget();
    this.told("saved");
  }

  /** When the page hides: what is not on the server goes there, even as the page closes. */
  flush() {
    if (!this.stopped && this.url && this.read()) this.save({ keepalive: true });
  }
}

// <live-poll>: keeps a page true. It asks data-url each second while somebody looks and something changes, more rarely
// else, and not at all once data-final names the state. What is new goes out as the event data-event on document; each
// part that data-parts names (an element's id, and ?part= of the page) is fetched again and put in its place.

const SECOND = 1_000;
const REST = 10 * SECOND;
const QUIET = 60 * SECOND;
const LONGEST = 60 * SECOND;

/** Milliseconds to the next question. @param {{hidden: boolean, quiet: number, failures: number}} now */
export function pause({ hidden, quiet, failures }) {
  if (failures) return Math.min(LONGEST, SECOND * 2 ** (failures - 1)) * (0.8 + 0.4 * Math.random());
  return hidden || quiet > QUIET ? REST : SECOND;
}

class LivePoll extends HTMLElement {
  connectedCallback() {
    this.state = { cursor: this.dataset.cursor ?? "", failures: 0, changed: Date.now(), heard: Date.now(), paused: false };
    this.now = () => this.ask();
    this.wake = () => document.hidden || this.ask();
    document.addEventListener("visibilitychange", this.wake);
    addEventListener("online", this.now);
    document.addEventListener("live-now", this.now);
    this.part("pause")?.addEventListener("click", () => this.toggle());
    this.part("try")?.addEventListener("click", this.now);
    this.clock = setInterval(() => this.tell(), SECOND);
    if (this.dataset.final === undefined) this.plan();
    else this.end();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.wake);
    removeEventListener("online", this.now);
    document.removeEventListener("live-now", this.now);
    this.end();
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  toggle() {
    this.state.paused = !this.state.paused;
    const button = this.part("pause");
    button.setAttribute("aria-pressed", String(this.state.paused));
    if (this.state.paused) clearTimeout(this.timer);
    else this.ask();
  }

  plan(after = null) {
    clearTimeout(this.timer);
    if (this.ended || this.state.paused) return;
    const quiet = Date.now() - this.state.changed;
    const wait = after ?? pause({ hidden: document.hidden, quiet, failures: this.state.failures });
    this.timer = setTimeout(this.now, wait);
  }

  async ask() {
    if (this.ended || this.asking) return;
    clearTimeout(this.timer);
    this.asking = true;
    let after = null;
    try {
      after = await this.heard();
    } catch {
      this.state.failures += 1;
    }
    this.asking = false;
    this.tell();
    this.plan(after);
  }

  /** Asks once. @returns {Promise<number|null>} when to come again, where the server said so */
  async heard() {
    const url = new URL(this.dataset.url, location.href);
    const { cursor } = this.state;
    if (cursor) url.searchParams.set("after", cursor);
    const headers = { Accept: "application/json", ...(cursor && { "If-None-Match": `"${cursor}"` }) };
    const response = await fetch(url, { headers, cache: "no-store", signal: AbortSignal.timeout(REST) });
    if ([401, 403, 404].includes(response.status)) {
      this.end(this.dataset[response.status === 401 ? "tSignedOut" : "tGone"]);
      return null;
    }
    if (!response.ok && response.status !== 304) {
      this.state.failures += 1;
      return Number(response.headers.get("Retry-After")) * SECOND || null;
    }
    this.state.failures = 0;
    this.state.heard = Date.now();
    if (response.status === 200) await this.take(await response.json());
    return null;
  }

  async take(news) {
    const first = this.state.cursor === "";
    if (news.cursor === this.state.cursor) return;
    this.state.cursor = news.cursor;
    this.state.changed = Date.now();
    if (first && !this.dataset.event) return;
    document.dispatchEvent(new CustomEvent(this.dataset.event ?? "live", { detail: news }));
    const parts = (this.dataset.parts ?? "").split(" ").filter(Boolean);
    await Promise.all(parts.map((part) => this.refresh(part)));
    if ((this.dataset.finals ?? "").split(" ").includes(news.state)) this.end();
  }

  async refresh(part) {
    const place = document.getElementById(part);
    if (!place || place.querySelector("dialog[open], [popover]:popover-open")) return;
    const url = new URL(location.href);
    url.searchParams.set("part", part);
    const response = await fetch(url, { headers: { "HX-Request": "true" }, cache: "no-store" });
    if (!response.ok) throw new Error(String(response.status));
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").body;
    const focus = place.contains(document.activeElement) ? document.activeElement : null;
    const open = [...place.querySelectorAll("details")].map((one) => one.open);
    place.replaceChildren(...fresh.childNodes);
    place.querySelectorAll("details").forEach((one, index) => (one.open = open[index] ?? one.open));
    if (focus) this.refocus(place, focus);
    place.dispatchEvent(new CustomEvent("refreshed", { bubbles: true }));
  }

  /** Focus goes to what stands where it was: the same id, link or name. */
  refocus(place, before) {
    const same = (one) => ["id", "href", "name"].some((key) => before.getAttribute(key) && one.getAttribute(key) === before.getAttribute(key));
    [...place.querySelectorAll("a, button, input, select, summary, [tabindex]")].find(same)?.focus({ preventScroll: true });
  }

  tell() {
    const said = this.part("said");
    if (!said || this.ended) return;
    const age = Math.round((Date.now() - this.state.heard) / SECOND);
    const stale = !this.state.paused && this.state.failures > 0 && age >= 10;
    said.classList.toggle("stale", stale);
    this.part("try").hidden = !stale;
    const words = stale ? this.dataset.tStale : this.dataset.tUpdated;
    const text = this.state.paused ? this.dataset.tPaused : words.replace("{n}", String(age));
    if (said.textContent !== text) said.textContent = text;
  }

  end(sentence = "") {
    this.ended = true;
    clearTimeout(this.timer);
    clearInterval(this.clock);
    if (this.part("said")) this.part("said").textContent = sentence;
    this.part("pause")?.setAttribute("hidden", "");
    this.part("try")?.setAttribute("hidden", "");
  }
}

customElements.define("live-poll", LivePoll);

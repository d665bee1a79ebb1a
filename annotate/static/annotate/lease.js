// The lease of a task: a heartbeat each minute while somebody works, a word two minutes before it ends, more on demand.

import { send } from "./csrf.js";

const MINUTE = 60_000;
const USED = 5 * MINUTE;
const WARNING = 2 * MINUTE;

export class Lease {
  /**
   * @param {{url: string, token: string, until: string, now: string, told: (state: string) => void}} lease
   * told hears "fine", "ending" and "late". now: the server's clock when the page was written.
   */
  constructor({ url, token, until, now, told }) {
    Object.assign(this, { url, token, told });
    this.skew = Date.now() - Date.parse(now);
    this.until = Date.parse(until);
    this.beaten = Date.now();
    this.used = Date.now();
    this.clock = setInterval(() => this.look(), 5_000);
  }

  touch() {
    this.used = Date.now();
  }

  look() {
    const left = this.until + this.skew - Date.now();
    const state = left <= 0 ? "late" : left < WARNING ? "ending" : "fine";
    if (state !== this.state) this.told((this.state = state));
    const due = Date.now() - this.beaten >= MINUTE;
    if (due && !document.hidden && Date.now() - this.used < USED) this.beat();
  }

  async beat() {
    this.beaten = Date.now();
    try {
      const response = await send(this.url, { token: this.token, active: true });
      if (response.ok) this.until = Date.parse((await response.json()).lease_until);
    } catch {
      return; // the next beat comes in a minute; the lease still runs
    }
    this.look();
  }

  end() {
    clearInterval(this.clock);
  }
}

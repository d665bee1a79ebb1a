// Where answers are kept: rows go to the server in order, and again when the line is back. Only with saving on.

import { send, signedOut } from "./csrf.js";

export class Outbox {
  /** @param {{attempts: string, finish: string}} dealt @param {(state: "sent"|"waiting"|"refused"|"signed-out") => void} told */
  constructor({ attempts, finish }, told) {
    Object.assign(this, { attempts, finishing: finish, told, sent: 0, rows: [] });
    this.back = () => this.flush();
    addEventListener("online", this.back);
  }

  close() {
    removeEventListener("online", this.back);
  }

  /** @param {object[]} rows all of the round */
  keep(rows) {
    this.rows = rows;
    return this.flush();
  }

  /** Rows that the network has not stepped on yet wait for it. @returns {Promise<boolean>} whether all are with the server */
  async flush() {
    if (this.sending) return this.sending;
    this.sending = this.deliver();
    const done = await this.sending;
    this.sending = null;
    return done;
  }

  async deliver() {
    while (this.sent < this.rows.length) {
      const open = this.rows.slice(this.sent);
      const first = open.findIndex(({ kind, count, p_with: p }) => kind !== "undo" && !count && p === undefined);
      const rows = first < 0 ? open : open.slice(0, first);
      if (!rows.length) return false;
      const response = await send(this.attempts, { rows }).catch(() => null);
      if (!response?.ok) {
        this.told(this.state(response));
        return false;
      }
      this.sent += rows.length;
    }
    this.told("sent");
    return true;
  }

  state(response) {
    if (!response || response.status >= 500 || response.status === 429) return "waiting";
    return signedOut(response) ? "signed-out" : "refused";
  }

  /** What the server says of the round. @param {number[]} digest @returns {Promise<{replay: string, largest: number|null}|null>} */
  async finish(digest) {
    if (!(await this.flush())) return null;
    const response = await send(this.finishing, { digest }).catch(() => null);
    return response?.ok ? response.json() : null;
  }
}

/** A next paragraph whose answers are kept. @param {string} url @param {object} wanted @returns {Promise<Response>} */
export const open = (url, wanted) => send(url, wanted);

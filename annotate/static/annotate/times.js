// How long a person works on a task. Active: the tab is visible and there was input within the last minute. Hidden: the
// tab is not visible. What is neither, a visible tab that nobody touches, is in no count. All in milliseconds.

const IDLE = 60_000;

/**
 * @typedef {{at: number, input: number, away: boolean, active: number, hidden: number, keys: number, presses: number}} Times
 */

/** Opening a task counts as input. kept: what an earlier load of the same task had counted. @returns {Times} */
export function begin(now, away, kept = null) {
  const { active = 0, hidden = 0, keys = 0, presses = 0 } = kept ?? {};
  return { at: now, input: now, away, active, hidden, keys, presses };
}

/** The counts as they stand now. @param {Times} times @returns {Times} */
export function read(times, now) {
  const passed = Math.max(0, now - times.at);
  const worked = Math.max(0, Math.min(now, times.input + IDLE) - times.at);
  return {
    ...times,
    at: now,
    active: times.active + (times.away ? 0 : worked),
    hidden: times.hidden + (times.away ? passed : 0),
  };
}

/** The tab was hidden, or is shown again; coming back counts as input. @param {Times} times @returns {Times} */
export function turn(times, now, away) {
  return { ...read(times, now), away, input: away ? times.input : now };
}

/** @param {Times} times @param {"key"|"press"|"scroll"} kind @returns {Times} */
export function touch(times, now, kind) {
  const found = { ...read(times, now), input: now };
  if (kind === "key") found.keys += 1;
  if (kind === "press") found.presses += 1;
  return found;
}

/** What the task was worked with: the one of the two that was used more. @param {Times} times */
export function by({ keys, presses }) {
  if (keys === 0 && presses === 0) return "";
  return keys > presses ? "keyboard" : "pointer";
}

// Long work in slices of a frame, so that keys are answered meanwhile.

const SLICE = 8; // ms

/**
 * Runs a generator to its end.
 * @template T @param {Iterator<T>} work @param {(one: T) => void} [each] @returns {Promise<void>}
 */
export function sliced(work, each = () => {}) {
  return new Promise((done) => {
    const frame = () => {
      const until = performance.now() + SLICE;
      while (performance.now() < until) {
        const { value, done: over } = work.next();
        if (over) return done();
        each(value);
      }
      return requestAnimationFrame(frame);
    };
    requestAnimationFrame(() => requestAnimationFrame(frame)); // what the page shows now is painted first
  });
}

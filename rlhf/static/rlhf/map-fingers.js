// Wheel, drag, pinch, tap and arrow keys on a square, told in its own pixels.

const STILL = 6; // pixels that a tap may wander
const WHEEL = 0.0016; // of a doubling's logarithm, a pixel of the wheel
const PAN = 60; // pixels of an arrow key
const ARROWS = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };

export class Fingers {
  /**
   * @param {HTMLElement} element
   * @param {(target: EventTarget, kind: string, listener: Function, more?: object) => void} on
   * @param {{
   *   move: (right: number, down: number) => void, zoom: (factor: number, x: number, y: number) => void,
   *   tap: (x: number, y: number) => void, over: (x: number|null, y: number|null) => void,
   *   zoomable: (factor: number) => boolean,
   * }} tell
   */
  constructor(element, on, tell) {
    this.element = element;
    this.tell = tell;
    /** @type {Map<number, [number, number]>} */
    this.down = new Map();
    on(element, "pointerdown", (event) => this.press(event));
    on(element, "pointermove", (event) => this.move(event));
    on(element, "pointerup", (event) => this.lift(event));
    on(element, "pointercancel", (event) => this.down.delete(event.pointerId));
    on(element, "pointerleave", () => tell.over(null, null));
    on(element, "keydown", (event) => this.arrow(event));
    on(element, "wheel", (event) => this.wheel(event), { passive: false });
  }

  at(event) {
    const { left, top } = this.element.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  press(event) {
    if (event.button !== 0) return;
    this.element.setPointerCapture(event.pointerId);
    this.wandered = this.down.size ? Infinity : 0;
    this.down.set(event.pointerId, this.at(event));
  }

  move(event) {
    const [x, y] = this.at(event);
    const before = this.down.get(event.pointerId);
    if (!before) return event.pointerType === "mouse" && this.tell.over(x, y);
    const others = [...this.down].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    this.down.set(event.pointerId, [x, y]);
    if (others.length) return this.pinch(before, [x, y], others[0]);
    this.wandered += Math.hypot(x - before[0], y - before[1]);
    if (this.wandered > STILL) this.tell.move(x - before[0], y - before[1]);
  }

  pinch(before, now, other) {
    const far = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
    const [midX, midY] = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
    this.tell.zoom(far(now) / Math.max(1, far(before)), midX, midY);
    this.tell.move((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }

  lift(event) {
    if (!this.down.delete(event.pointerId)) return;
    if (this.wandered <= STILL) this.tell.tap(...this.at(event));
  }

  /** @param {KeyboardEvent} event */
  arrow(event) {
    const move = ARROWS[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.tell.move(...move);
  }

  /** At the end of the zoom the wheel is the page's again. */
  wheel(event) {
    const pixels = event.deltaMode === 1 ? 16 * event.deltaY : event.deltaY;
    const factor = Math.exp(-pixels * WHEEL);
    if (!this.tell.zoomable(factor)) return;
    event.preventDefault();
    this.tell.zoom(factor, ...this.at(event));
  }
}

// Dragging, beside keys, taps and chips: a card by its letter, or a chip, onto the strip. It acts on release; Esc cancels.

const FAR = 6; // pixels until a press is a drag
const EDGE = 0.3; // of a chip: beyond it a drop is a place of its own, within it a tie

export class Drag {
  /**
   * @param {HTMLElement} form
   * @param {HTMLElement} strip
   * @param {(letter: string, near: string|null, how: "before"|"tie"|"after") => void} dropped near: the chip's letter
   */
  constructor(form, strip, dropped) {
    Object.assign(this, { form, strip, dropped });
    form.addEventListener("pointerdown", (event) => this.press(event));
  }

  press(event) {
    const handle = event.target.closest("[data-drag]");
    if (!handle || event.button !== 0) return;
    const { letter } = handle.closest("[data-letter]").dataset;
    const held = new AbortController();
    const listen = (name, heard) => document.addEventListener(name, heard, { signal: held.signal, capture: true });
    let ghost = null;
    const end = () => {
      held.abort();
      ghost?.remove();
      this.mark(null);
      if (ghost) this.strip.classList.remove("dragged-over");
    };
    listen("pointermove", (move) => {
      if (!ghost && Math.hypot(move.clientX - event.clientX, move.clientY - event.clientY) < FAR) return;
      ghost ??= this.lift(letter);
      ghost.style.setProperty("--x", `${move.clientX}px`);
      ghost.style.setProperty("--y", `${move.clientY}px`);
      this.mark(this.place(move));
    });
    listen("pointerup", (up) => {
      const place = ghost && this.place(up);
      end();
      if (place) this.dropped(letter, place.chip?.dataset.letter ?? null, place.how);
    });
    listen("pointercancel", end);
    listen("keydown", (key) => key.key === "Escape" && (key.preventDefault(), end()));
  }

  lift(letter) {
    const ghost = document.createElement("span");
    ghost.className = "ghost";
    ghost.textContent = letter;
    this.form.append(ghost);
    this.strip.classList.add("dragged-over"); // on a phone the sheet opens
    return ghost;
  }

  /** Where a drop falls: beside a chip, on it, at the end; null outside of the strip. */
  place({ clientX, clientY }) {
    const box = this.strip.getBoundingClientRect();
    if (clientX < box.left || clientX > box.right || clientY < box.top - 8 || clientY > box.bottom + 8) return null;
    const list = getComputedStyle(this.strip.querySelector("ol"));
    const down = list.flexDirection === "column";
    const from = list.direction === "rtl" && !down ? -1 : 1;
    const at = down ? clientY : from * clientX;
    const chips = [...this.strip.querySelectorAll(".chip[data-letter]")];
    for (const chip of chips) {
      const { left, right, top, bottom, width, height } = chip.getBoundingClientRect();
      const first = down ? top : Math.min(from * left, from * right);
      const size = down ? height : width;
      if (at < first + EDGE * size) return { chip, how: chip.classList.contains("tied") ? "tie" : "before" };
      if (at < first + (1 - EDGE) * size) return { chip, how: "tie" };
    }
    return { chip: chips.at(-1), how: "after" };
  }

  mark(place) {
    this.strip.querySelectorAll("[data-drop]").forEach((one) => delete one.dataset.drop);
    if (place?.chip) place.chip.dataset.drop = place.how;
  }
}

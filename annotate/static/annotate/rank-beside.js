// What is said of one answer beside its place: which card a key means, and what it opens there.

export class Beside {
  /**
   * @param {Map<string, HTMLElement>} cards by letter
   * @param {() => string|null} current the letter whose chip has the focus
   */
  constructor(cards, current) {
    Object.assign(this, { cards, current });
  }

  /** The card with the focus, else the one of the chip, else the first. */
  get card() {
    const focused = document.activeElement?.closest?.("[data-part=card]");
    return focused ?? this.cards.get(this.current()) ?? [...this.cards.values()][0];
  }

  /** The two answers to compare at first: the card's own and the one that it is ranked after, else its neighbour. */
  pair(ranking) {
    const letters = [...this.cards.keys()];
    const one = this.card.dataset.letter;
    const order = ranking.groups.flat().includes(one) ? [...new Set([...ranking.groups.flat(), ...letters])] : letters;
    const at = Math.max(1, order.indexOf(one));
    return [order[at - 1], order[at]];
  }

  /** @param {string} name of a key @returns {boolean} whether it meant anything here */
  pressed(name) {
    if (name === "J" || name === "K") return this.move(name === "J" ? 1 : -1);
    if (name === "M") return this.opened(this.card.querySelector("flag-set"), "toggle");
    if (name === "N") return this.opened((this.quoted ?? this.card).querySelector("critique-box"), "open");
    if (name === "V") return this.opened(document.getElementById("compare"), "showPopover");
    if (name === "W") return this.opened(this.card.querySelector("better-box"), "open");
    return false;
  }

  /** The card in which somebody has selected words. */
  get quoted() {
    const { isCollapsed, anchorNode } = document.getSelection();
    return isCollapsed ? null : anchorNode.parentElement?.closest("[data-part=card]");
  }

  opened(element, method) {
    element?.[method]();
    return element !== null;
  }

  move(by) {
    const all = [...this.cards.values()];
    const focused = document.activeElement?.closest?.("[data-part=card]");
    const at = focused ? all.indexOf(focused) + by : 0;
    const card = all[Math.max(0, Math.min(all.length - 1, at))];
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
    return true;
  }
}

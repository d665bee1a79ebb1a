// <explain-drawer>: the drawer that explains a stage. Its tabs are links that work without this; here they fetch the
// other depth, so that what one is doing on the page stays, and links of terms open the term in the drawer.

import { render } from "./blocks.js";
import { send } from "./csrf.js";

class ExplainDrawer extends HTMLElement {
  connectedCallback() {
    this.box = this.querySelector("#explain");
    this.clicked = (event) => this.follow(event);
    this.addEventListener("click", this.clicked);
    if (this.box.popover === null && this.box.dataset.alone === undefined) this.lift();
  }

  disconnectedCallback() {
    this.removeEventListener("click", this.clicked);
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  /** The section that ?depth= put on the page becomes the drawer. */
  lift() {
    this.box.className = "drawer";
    this.box.popover = "auto";
    this.part("close").hidden = false;
    for (const link of document.querySelectorAll("a.explain-button")) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        this.box.showPopover();
      });
    }
    this.box.showPopover();
  }

  /** @param {MouseEvent} event */
  follow(event) {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const { depth, term } = link.dataset;
    if (depth && this.dataset.url) {
      event.preventDefault();
      this.show(depth);
    } else if (term && this.open(term)) event.preventDefault();
  }

  /** Unfolds a term below the text. @param {string} slug @returns {boolean} */
  open(slug) {
    const found = this.part("terms").querySelector(`[data-slug="${CSS.escape(slug)}"]`);
    if (!found) return false;
    found.open = true;
    found.querySelector("summary").focus();
    found.scrollIntoView({ block: "nearest" });
    return true;
  }

  /** @param {string} depth */
  async show(depth) {
    let said = null;
    try {
      const answer = await fetch(`${this.dataset.url}&depth=${depth}`, { headers: { Accept: "application/json" } });
      if (answer.ok) said = await answer.json();
    } catch {
      said = null; // away: the line below says so
    }
    this.part("lost").hidden = said !== null;
    if (said === null) return;
    this.part("text").replaceChildren(render(said.blocks));
    this.part("terms-head").hidden = said.terms.length === 0;
    this.part("terms").replaceChildren(...said.terms.map((one) => this.term(one)));
    for (const link of this.querySelectorAll("[data-depth]")) {
      if (link.dataset.depth === depth) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    send(this.dataset.meUrl, { explain_depth: depth }, { method: "PATCH" }).catch(() => null); // only a preference
  }

  /** @param {{slug: string, term: string, definition: string, example: string}} one */
  term(one) {
    const made = this.part("term").content.firstElementChild.cloneNode(true);
    made.dataset.slug = one.slug;
    for (const [part, text] of [["name", one.term], ["means", one.definition], ["example", one.example]]) {
      made.querySelector(`[data-part=term-${part}]`).textContent = text;
    }
    return made;
  }
}

customElements.define("explain-drawer", ExplainDrawer);

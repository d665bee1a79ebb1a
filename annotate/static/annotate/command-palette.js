// <command-palette>: "/" opens it on every page where "/" means nothing else. It asks data-url for what fits the words and
// lists it as links and buttons; arrows walk them, Enter goes there. Without it the same list is a page.

import { token } from "./csrf.js";

const WAIT = 150;

class CommandPalette extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("#palette");
    this.field = this.querySelector("#palette-q");
    this.pressed = (event) => event.detail.name === "/" && this.open();
    document.addEventListener("key", this.pressed);
    document.querySelector("[data-part=find]")?.addEventListener("click", (event) => this.clicked(event));
    this.field.addEventListener("input", () => this.plan());
    this.dialog.addEventListener("keydown", (event) => this.walk(event));
  }

  disconnectedCallback() {
    document.removeEventListener("key", this.pressed);
    clearTimeout(this.timer);
  }

  clicked(event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.open();
  }

  open() {
    this.field.value = "";
    this.dialog.showPopover();
    this.field.focus();
    this.ask();
  }

  plan() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), WAIT);
  }

  async ask() {
    const asked = this.field.value;
    const url = `${this.dataset.url}?q=${encodeURIComponent(asked)}`;
    try {
      const response = await fetch(url, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (!response.ok) throw new Error(String(response.status));
      const groups = await response.json();
      if (asked === this.field.value) this.show(groups);
    } catch {
      this.say(this.dataset.tLost);
    }
  }

  say(sentence) {
    this.querySelector("[data-part=said]").textContent = sentence;
  }

  /** @param {Record<string, {label: string, url: string, posts: boolean}[]>} groups */
  show(groups) {
    const names = { go: this.dataset.tGo, do: this.dataset.tDo, find: this.dataset.tFind };
    const shown = Object.entries(groups).filter(([, items]) => items.length);
    this.say(shown.length ? "" : this.dataset.tNone);
    this.querySelector("[data-part=found]").replaceChildren(
      ...shown.flatMap(([name, items]) => [made("h3", { textContent: names[name] }), list(items)]),
    );
  }

  walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return this.enter(event);
    const items = [this.field, ...this.querySelectorAll("[data-part=found] a, [data-part=found] button")];
    const place = items.indexOf(document.activeElement) + step;
    event.preventDefault();
    return items[Math.max(0, Math.min(place, items.length - 1))].focus();
  }

  enter(event) {
    if (event.key !== "Enter" || event.target !== this.field || event.isComposing) return;
    event.preventDefault();
    this.querySelector("[data-part=found] a, [data-part=found] button")?.click();
  }
}

function made(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

function list(items) {
  const found = made("ul", {});
  found.append(
    ...items.map((one) => {
      const line = made("li", {});
      line.append(one.posts ? starts(one) : made("a", { href: one.url, textContent: one.label }));
      return line;
    }),
  );
  return found;
}

/** What starts something is a form, as on every page. */
function starts(one) {
  const form = made("form", { method: "post", action: one.url });
  form.append(made("input", { type: "hidden", name: "csrfmiddlewaretoken", value: token() }));
  form.append(made("button", { className: "link", textContent: one.label }));
  return form;
}

customElements.define("command-palette", CommandPalette);

// <show-password>: around a password field. A button shows what was typed.

class ShowPassword extends HTMLElement {
  connectedCallback() {
    const button = this.querySelector("[data-part=show]");
    const field = this.querySelector("input");
    button.hidden = false;
    button.addEventListener("click", () => {
      const shown = field.type === "text";
      field.type = shown ? "password" : "text";
      button.setAttribute("aria-pressed", String(!shown));
      field.focus();
    });
  }
}

customElements.define("show-password", ShowPassword);

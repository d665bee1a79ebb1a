// <doc-review>: around a text and what is to be decided about it. A accepts; X waits for reasons; E opens the editor and
// then sends it. The buttons are the form's own, so each works without this.

class DocReview extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    this.mode = ""; // "", "one" or "several": what a digit means for the reasons
    this.items = [...this.querySelectorAll("[data-part=evidence]")];
    this.key = (event) => this.pressed(event.detail.name);
    this.sent = (event) => this.check(event);
    this.changed = () => this.count();
    document.addEventListener("key", this.key);
    this.form.addEventListener("submit", this.sent);
    this.form.addEventListener("restored", this.changed);
    this.addEventListener("change", this.changed);
    this.addEventListener("focusin", (event) => this.point(event.target.closest("[data-part=evidence]")));
    if (this.items.length) this.point(this.items[0]);
    this.count();
  }

  disconnectedCallback() {
    document.removeEventListener("key", this.key);
    this.form?.removeEventListener("submit", this.sent);
    this.form?.removeEventListener("restored", this.changed);
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  get reasons() {
    return [...this.querySelectorAll("[name=reasons]")];
  }

  get button() {
    return document.getElementById(this.dataset.refuses);
  }

  pressed(name) {
    if (/^[1-9]$/.test(name)) this.digit(Number(name));
    else if (name === "J") this.move(1);
    else if (name === "K") this.move(-1);
    else if (name === "O") this.uncover();
    else if (name === "V") this.compare();
    else if (name === "Enter" && this.mode) this.form.requestSubmit(this.button);
  }

  digit(number) {
    if (!this.mode) return this.judge(number);
    const reason = this.reasons[number - 1];
    if (!reason) return undefined;
    reason.checked = !reason.checked;
    reason.dispatchEvent(new Event("change", { bubbles: true }));
    return this.mode === "one" ? this.form.requestSubmit(this.button) : undefined;
  }

  judge(number) {
    const radio = this.current?.querySelectorAll(".verdict input")[number - 1];
    if (!radio) return;
    radio.checked = true;
    radio.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** Holds back a decision that lacks something, and shows what. */
  check(event) {
    const decision = event.submitter?.value;
    const lacking = decision === this.dataset.refuses ? this.lacks() : null;
    if (lacking) {
      event.preventDefault();
      this.ask(lacking);
    } else if (decision === "edit" && !this.part("editing").open) {
      event.preventDefault();
      this.calm();
      this.part("editing").open = true;
      this.part("field").focus();
      this.part("field").scrollIntoView({ block: "center" });
    }
  }

  /** The field that a refusal still needs: a comment where one is asked, else a reason. */
  lacks() {
    const comment = this.part("comment");
    if (comment) return comment.value.trim() ? null : comment;
    return this.reasons.some((reason) => reason.checked) ? null : this.reasons[0];
  }

  /** Digits belong to the evidence again. */
  calm() {
    this.mode = "";
    delete this.dataset.mode;
    this.part("missing").textContent = "";
  }

  ask(field) {
    const again = this.mode !== "";
    const several = again || field === this.part("comment");
    this.mode = several ? "several" : "one";
    this.dataset.mode = this.mode;
    this.part("missing").textContent = several ? this.dataset.tSeveral : this.dataset.tChoose;
    (field === this.part("comment") && again ? field : this.reasons[0]).focus();
    document.getElementById("reasons").scrollIntoView({ block: "nearest" });
  }

  point(item) {
    if (!item || item === this.current) return;
    this.current?.classList.remove("current");
    this.current = item;
    item.classList.add("current");
    for (const mark of this.querySelectorAll("[data-finding]")) {
      mark.classList.toggle("current", mark.dataset.finding.split(" ").includes(item.dataset.number));
    }
  }

  move(by) {
    const index = this.items.indexOf(this.current) + by;
    const item = this.items[Math.max(0, Math.min(this.items.length - 1, index))];
    if (!item) return;
    this.point(item);
    item.querySelector("input").focus({ preventScroll: true });
    item.scrollIntoView({ block: "nearest" });
    document.getElementById(`f${item.dataset.number}`)?.scrollIntoView({ block: "nearest" });
  }

  uncover() {
    const covers = [...this.querySelectorAll("[data-part=uncover]")];
    const open = covers.some((cover) => !cover.checked);
    covers.forEach((cover) => (cover.checked = open));
  }

  compare() {
    const details = this.current?.querySelector("[data-part=duplicate]") ?? this.part("duplicate");
    if (details) details.open = !details.open;
  }

  count() {
    const place = this.part("answered");
    if (!place || !this.items.length) return;
    const done = this.items.filter((item) => item.querySelector(":checked")).length;
    const words = this.dataset.tAnswered.replace("{n}", String(done));
    place.textContent = words.replace("{total}", String(this.items.length));
  }
}

customElements.define("doc-review", DocReview);

// A list that the hub hands out in pages: forwards as it does, backwards by the pages that were seen.

import { make, put } from "./dom.js";

export class Pager {
  // load(cursor) asks for a page, shows it, and resolves to {shown, next}: how many, and the next page's cursor, "" at the
  // end.
  constructor(load) {
    this.load = load;
    this.cursors = [""]; // of the pages up to the one that is shown
    this.next = "";
    this.turn = 0;
    this.back = make("button", { type: "button", disabled: true }, "Back");
    this.on = make("button", { type: "button", disabled: true }, "Next page");
    this.again = make("button", { type: "button" }, "Reload");
    this.said = make("span", { className: "muted", role: "status" });
    this.element = make("div", { className: "row pager" }, this.back, this.on, this.again, this.said);
    this.back.addEventListener("click", () => this.go(this.cursors.slice(0, -1)));
    this.on.addEventListener("click", () => this.go([...this.cursors, this.next]));
    this.again.addEventListener("click", () => this.go(this.cursors));
  }

  // first shows the first page.
  first() {
    return this.go([""]);
  }

  // go shows the last of the pages. Of two that are asked for the later one counts.
  async go(cursors) {
    const turn = ++this.turn;
    try {
      const { shown, next } = await this.load(cursors.at(-1), () => turn === this.turn);
      if (turn !== this.turn) return;
      this.cursors = cursors;
      this.next = next || "";
      this.say(`page ${cursors.length}, ${shown} shown`, "");
    } catch (err) {
      if (turn !== this.turn) return;
      this.say(err.message, "bad");
    }
    this.back.disabled = this.cursors.length < 2;
    this.on.disabled = this.next === "";
  }

  say(text, kind) {
    this.said.dataset.kind = kind;
    put(this.said, text);
  }
}

// A list that the hub hands out in pages: forwards as it does, backwards by the pages that were seen. The next page comes as
// well where the list is scrolled to its end, and the one before at its beginning; of all of them three are there at most,
// however long the list is.

import { make, put } from "./dom.js";

const PAGES = 3;   // that are there at most
const NEAR = 200;  // pixels from an end of the list at which the next page is asked for

export class Pager {
  // load(cursor, current) asks for a page, and resolves to {items, next, empty}: next is the next page's cursor, "" at the end,
  // and empty what to say where there is nothing. current() says whether the answer still counts.
  constructor(table, load) {
    this.table = table;
    this.load = load;
    this.cursors = [""]; // of the pages from the first of all to the last that is shown
    this.counts = [];    // rows of those that are shown
    this.next = "";
    this.turn = 0;
    this.busy = false;
    this.top = 0; // where the list was scrolled to
    this.back = make("button", { type: "button", disabled: true }, "Back");
    this.on = make("button", { type: "button", disabled: true }, "Next page");
    this.again = make("button", { type: "button" }, "Reload");
    this.said = make("span", { className: "muted", role: "status" });
    this.element = make("div", { className: "row pager" }, this.back, this.on, this.again, this.said);
    this.back.addEventListener("click", () => this.go(this.cursors.slice(0, this.begin)));
    this.on.addEventListener("click", () => this.go([...this.cursors, this.next]));
    this.again.addEventListener("click", () => this.reload());
    table.element.addEventListener("scroll", () => this.scrolled());
  }

  // begin is the place of the first page that is shown, among all.
  get begin() {
    return this.counts.length ? this.cursors.length - this.counts.length : 0;
  }

  // first shows the first page.
  first() {
    return this.go([""]);
  }

  // reload asks again for the first page that is shown.
  reload() {
    return this.go(this.cursors.slice(0, this.begin + 1));
  }

  // go shows the last of the pages, alone.
  go(cursors) {
    return this.ask(cursors.at(-1), ({ items, next, empty }) => {
      this.cursors = cursors;
      this.counts = [items.length];
      this.next = next || "";
      this.table.show(items, empty);
      this.top = this.table.element.scrollTop = 0;
    });
  }

  // scrolled asks for more where an end of the list is near.
  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.table.element;
    const up = scrollTop < this.top;
    this.top = scrollTop;
    if (this.busy) return;
    if (!up && this.next && scrollTop + clientHeight > scrollHeight - NEAR) this.more();
    if (up && this.begin > 0 && scrollTop < NEAR) this.less();
  }

  more() {
    const cursor = this.next;
    return this.ask(cursor, ({ items, next }) => {
      this.cursors.push(cursor);
      this.counts.push(items.length);
      this.next = next || "";
      this.table.append(items);
      if (this.counts.length > PAGES) this.table.drop(this.counts.shift());
      this.top = this.table.element.scrollTop;
    });
  }

  less() {
    return this.ask(this.cursors[this.begin - 1], ({ items }) => {
      this.counts.unshift(items.length);
      this.table.prepend(items);
      if (this.counts.length > PAGES) {
        this.next = this.cursors.pop();
        this.table.drop(-this.counts.pop());
      }
      this.top = this.table.element.scrollTop;
    });
  }

  // ask gets a page and has it taken. Of two that are asked for the later one counts.
  async ask(cursor, take) {
    const turn = ++this.turn;
    this.busy = true;
    try {
      const page = await this.load(cursor, () => turn === this.turn);
      if (turn !== this.turn) return;
      take(page);
      const [from, to] = [this.begin + 1, this.cursors.length];
      const shown = this.counts.reduce((sum, n) => sum + n, 0);
      this.say(from === to ? `page ${to}, ${shown} shown` : `pages ${from} to ${to}, ${shown} shown`, "");
    } catch (err) {
      if (turn !== this.turn) return;
      this.say(err.message, "bad");
    }
    this.busy = false;
    this.back.disabled = this.begin === 0;
    this.on.disabled = this.next === "";
  }

  say(text, kind) {
    this.said.dataset.kind = kind;
    put(this.said, text);
  }
}

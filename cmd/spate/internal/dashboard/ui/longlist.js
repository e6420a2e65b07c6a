// A list of any length: the hub hands it out in pages, which are asked for as one scrolls, and only the rows in view, with
// some around them, are elements of the page.
//
// Rows may differ in height, as the cards of a narrow screen do, so they are looked at in blocks: one that was drawn once
// is known to be so high, and others are taken for as high as those in view.

import { make, put } from "./dom.js";
import { count } from "./format.js";
import { Pages } from "./pages.js";
import { headOf, rowOf } from "./table.js";

const BLOCK = 20;   // rows
const MARGIN = 400; // px above and below the view that are drawn too
const ROW = 28;     // px of a row, before one was drawn

export class LongList {
  // load is that of Pages; empty() is what is said where there are no rows.
  constructor(label, columns, load, empty) {
    this.columns = columns;
    this.empty = empty;
    this.pages = new Pages(load);
    this.elements = new WeakMap(); // of items
    this.rowHeight = ROW;
    this.current = 0;      // the row whose button the Tab key leads to
    this.toEnd = false;    // goes on until all is loaded
    this.wanted = -1;      // the row that gets the focus once it is there
    this.asking = 0;       // the turn of the question that is under way
    this.failed = false;
    this.above = filler();
    this.below = filler();
    this.body = make("tbody", { role: "rowgroup" }, this.above, this.below);
    this.table = make("table", { className: "list long", role: "table", "aria-label": label }, headOf(columns), this.body);
    this.nothing = make("p", { className: "empty", hidden: true });
    this.element = make("div", { className: "scroll tall", role: "region", tabIndex: 0, "aria-label": "List: " + label }, this.table, this.nothing);
    const reload = make("button", { type: "button" }, "Reload");
    this.sum = make("span", { className: "muted", role: "status" });
    this.said = make("span", { className: "muted", role: "status" });
    this.bar = make("div", { className: "row pager" }, reload, this.sum, this.said);
    this.warning = make("p", { className: "bad", role: "status", hidden: true }); // what pages warn of
    reload.addEventListener("click", () => this.reload());
    this.listen();
  }

  listen() {
    for (const gesture of ["wheel", "pointerdown", "touchstart"]) this.element.addEventListener(gesture, () => this.stop(), { passive: true });
    this.element.addEventListener("focusout", (e) => {
      const away = document.activeElement === e.target; // the window lost it, the element did not
      if (!away && !this.element.contains(e.relatedTarget)) this.stop();
    });
    this.element.addEventListener("scroll", () => this.update());
    this.element.addEventListener("keydown", (e) => this.key(e));
    this.body.addEventListener("focusin", (e) => {
      this.current = this.numberOf(e.target.closest("tr"));
      this.tabStop();
    });
    let width = 0;
    new ResizeObserver(() => {
      if (this.element.clientWidth !== width) {
        width = this.element.clientWidth;
        for (const page of this.pages.list) page.heights = [];
      }
      this.update();
    }).observe(this.element);
  }

  // first begins anew: something else is asked for.
  first() {
    this.pages.clear();
    this.element.scrollTop = 0;
    this.current = 0;
    return this.begin();
  }

  // reload asks again for what is in view, and for all else when it comes into view.
  reload() {
    this.pages.expire();
    return this.begin();
  }

  begin() {
    this.failed = false;
    this.stop();
    this.say("", "");
    return this.update();
  }

  // stop: what one has begun to go to is not gone to.
  stop() {
    this.toEnd = false;
    this.wanted = -1;
  }

  // remove takes an item out of the list; the focus goes to the row behind it.
  remove(item) {
    const at = this.pages.remove(item);
    if (at < 0) return;
    this.wanted = Math.min(at, this.pages.rows - 1);
    this.update();
  }

  // say says what became of something, until the list is asked for anew.
  say(text, kind) {
    this.said.dataset.kind = kind;
    put(this.said, text);
  }

  // tell says how much of the list there is.
  tell() {
    const { rows, more } = this.pages;
    this.table.setAttribute("aria-rowcount", more ? -1 : rows + 1);
    this.nothing.hidden = more || rows > 0;
    if (!more && rows === 0) put(this.nothing, this.empty());
    const rest = this.toEnd ? "going on to the last: any other key stops" : "more as you scroll; the End key goes to the last";
    put(this.sum, !more ? `${count(rows)} in all` : rows > 0 ? `${count(rows)} so far, ${rest}` : "");
    const warnings = this.pages.list.map((page) => page.warning).filter(Boolean).join(" ");
    this.warning.hidden = !warnings;
    put(this.warning, warnings);
  }

  // update draws what is in view, and asks for what is missing there. It resolves once nothing is.
  async update() {
    for (let drawn = 0; drawn < 3 && this.draw(); drawn++);
    this.tell();
    const i = this.missing();
    if (i < 0 || this.failed || this.asking === this.pages.turn) return;
    const turn = (this.asking = this.pages.turn);
    const known = i < this.pages.list.length;
    try {
      await this.pages.fetch(i);
    } catch (err) {
      if (turn === this.pages.turn) {
        if (known && err.field === "cursor" && [400, 503].includes(err.status)) return this.beginAnew(err);
        this.failed = true;
        this.say(err.message, "bad");
      }
    }
    if (this.asking === turn) this.asking = 0;
    if (turn !== this.pages.turn) return;
    this.pages.release(this.toEnd ? this.pages.list.length - 1 : this.at);
    await this.update();
  }

  // beginAnew: the cursor that led to what is in view leads nowhere any more.
  beginAnew(err) {
    const done = this.first();
    this.say(`begun anew: ${err.message}`, "");
    return done;
  }

  // missing is the page that is to be asked for next, -1 for none.
  missing() {
    if (this.hidden()) return -1;
    const { list, more } = this.pages;
    if (this.toEnd && more) return list.length; // what is in view now is not looked at
    const gap = this.view.find((b) => !list[b.page].items || list[b.page].stale);
    if (gap) return gap.page;
    const last = this.view.at(-1);
    const near = !last || list.slice(last.page + 1).every((page) => page.length === 0);
    return more && near ? list.length : -1;
  }

  hidden() {
    return this.element.offsetParent === null;
  }

  // blocks are all blocks of rows: {page, block, first: the number of the first row, rows, top, height}.
  blocks() {
    const all = [];
    let first = 0;
    let top = 0;
    this.pages.list.forEach(({ length, heights }, page) => {
      for (let block = 0; block * BLOCK < length; block++) {
        const rows = Math.min(BLOCK, length - block * BLOCK);
        const height = heights[block] || rows * this.rowHeight;
        all.push({ page, block, first, rows, top, height });
        first += rows;
        top += height;
      }
    });
    return all;
  }

  // draw makes the elements be those of the rows around the view. It returns whether what it then found them to measure
  // asks for another look.
  draw() {
    this.view = [];
    if (this.hidden()) return false;
    const from = this.element.scrollTop - MARGIN;
    const to = this.element.scrollTop + this.element.clientHeight + MARGIN;
    const all = this.blocks();
    this.view = all.filter((b) => b.top <= to && b.top + b.height >= from);
    this.at = this.view[0]?.page ?? 0;
    const trs = this.view.flatMap((b) => this.rowsOf(b));
    this.place(trs);
    room(this.above, this.view[0]?.top ?? 0);
    const end = all.at(-1);
    const last = this.view.at(-1);
    room(this.below, end && last ? end.top + end.height - last.top - last.height : 0);
    const again = this.measure();
    this.focusWanted();
    this.tabStop();
    if (this.toEnd && !this.pages.more) this.arrive();
    return again;
  }

  rowsOf({ page, block, first, rows, height }) {
    const { items } = this.pages.list[page];
    if (!items) {
      const empty = filler();
      room(empty, height);
      return [empty];
    }
    return items.slice(block * BLOCK, block * BLOCK + rows).map((item, i) => {
      let tr = this.elements.get(item);
      if (!tr) this.elements.set(item, (tr = rowOf(this.columns, item)));
      tr.setAttribute("aria-rowindex", first + i + 2); // the head is the first
      return tr;
    });
  }

  // place makes the body's rows these, moving none that stays. A row that goes leaves its focus to the list.
  place(trs) {
    const stays = new Set([this.above, ...trs, this.below]);
    const focused = this.body.contains(document.activeElement) && document.activeElement.closest("tr");
    if (focused && !stays.has(focused)) this.element.focus({ preventScroll: true });
    for (const tr of [...this.body.children]) {
      if (!stays.has(tr)) tr.remove();
    }
    let next = this.above.nextSibling;
    for (const tr of trs) {
      if (tr === next) next = next.nextSibling;
      else this.body.insertBefore(tr, next);
    }
  }

  // measure notes how high the blocks in view are, and returns whether one is otherwise than it was taken for.
  measure() {
    let other = false;
    let sum = 0;
    let rows = 0;
    for (const b of this.view) {
      const { items, heights } = this.pages.list[b.page];
      if (!items) continue;
      const [from, to] = [items[b.block * BLOCK], items[b.block * BLOCK + b.rows - 1]].map((item) => this.elements.get(item).getBoundingClientRect());
      const height = to.bottom - from.top;
      if (Math.abs(height - b.height) > 1) other = true;
      heights[b.block] = height;
      sum += height;
      rows += b.rows;
    }
    if (rows > 0) this.rowHeight = sum / rows;
    return other;
  }

  // arrive goes to the last row once all are known; how far that is may turn out on the way, which scrolling calls again.
  arrive() {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    if (scrollTop < scrollHeight - clientHeight - 1) this.element.scrollTop = scrollHeight;
    else this.toEnd = false;
  }

  numberOf(tr) {
    return Number(tr.getAttribute("aria-rowindex")) - 2;
  }

  // buttonOf is the button of a row, if the row is drawn and has one.
  buttonOf(number) {
    return this.body.querySelector(`[aria-rowindex="${number + 2}"] button`);
  }

  // tabStop: of all rows one is a stop of the Tab key; arrows do the rest.
  tabStop() {
    const buttons = [...this.body.querySelectorAll("button")];
    const stop = this.buttonOf(this.current) ?? buttons[0];
    for (const button of buttons) button.tabIndex = button === stop ? 0 : -1;
  }

  key(e) {
    if (e.altKey || e.ctrlKey || e.metaKey) return;
    const tr = e.target.closest("tbody tr");
    if (this.toEnd) this.stop();
    this.toEnd = e.key === "End";
    if (!tr) {
      if (this.toEnd) {
        e.preventDefault();
        this.end();
      }
      return;
    }
    const move = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[e.key];
    if (!move) return;
    e.preventDefault();
    this.go(Math.max(this.numberOf(tr) + move, 0));
  }

  // end scrolls to the last row, and asks for all before it.
  end() {
    this.element.scrollTop = this.element.scrollHeight;
    this.update();
  }

  // go moves the focus to a row; one that is beyond all is the last.
  go(number) {
    this.wanted = number;
    if (this.toEnd) {
      this.end();
      return;
    }
    this.wanted = Math.min(number, this.pages.rows - 1);
    const block = this.blocks().find((b) => b.first + b.rows > this.wanted);
    if (block && !this.buttonOf(this.wanted)) this.element.scrollTop = block.top;
    this.update();
  }

  // focusWanted gives the focus to the row that is wanted, unless the focus has left the list meanwhile.
  focusWanted() {
    if (this.wanted < 0) return;
    if (this.wanted >= this.pages.rows && !this.pages.more) this.wanted = this.pages.rows - 1;
    const button = this.buttonOf(this.wanted);
    if (!button) return;
    this.wanted = -1;
    if (this.element.contains(document.activeElement)) button.focus();
  }
}

// filler is room in place of rows.
function filler() {
  return make("tr", { className: "filler", "aria-hidden": "true" }, make("td"));
}

function room(tr, height) {
  tr.hidden = height <= 0;
  tr.firstChild.style.height = height + "px";
}

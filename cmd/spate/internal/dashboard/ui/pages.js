// The pages of a list that the hub hands out one after the other. Of all pages that were read it is known where they begin
// and how many rows they have; the rows themselves are at hand for some, and asked for again for others.

const HELD = 30; // pages whose rows are at hand

export class Pages {
  // load(cursor, current) asks the hub for a page, and resolves to {items, next, warning}: next is the cursor of the one behind
  // it, "" or nothing at the end; warning is what is to be said as long as the page is of the list, if anything. current()
  // says whether the answer still counts.
  constructor(load) {
    this.load = load;
    this.turn = 0; // of two questions only those of the present turn count
    this.clear();
  }

  // clear forgets everything.
  clear() {
    this.turn++;
    this.list = []; // {cursor, length, items or null, stale, warning, heights: of its blocks of rows, as far as they are known}
    this.next = ""; // cursor of the first page that was not read yet
    this.more = true; // there may be one
  }

  // expire has all pages asked for again, once they are wanted. One without rows never would be: the list ends before it.
  expire() {
    this.turn++;
    for (const page of this.list) page.stale = true;
    const empty = this.list.findIndex((page) => page.length === 0);
    if (empty >= 0) this.cut(empty);
  }

  // cut forgets the pages from the i-th on.
  cut(i) {
    this.next = this.list[i].cursor;
    this.more = true;
    this.list.length = i;
  }

  get rows() {
    return this.list.reduce((sum, page) => sum + page.length, 0);
  }

  // fetch reads the i-th page, which is one of the list or the one behind it. An answer that comes after the list was begun
  // anew is passed over. Where another page follows now than did before, those behind it are forgotten.
  async fetch(i) {
    const turn = this.turn;
    const cursor = i < this.list.length ? this.list[i].cursor : this.next;
    const { items, next = "", warning } = await this.load(cursor, () => turn === this.turn);
    if (turn !== this.turn) return;
    this.list[i] = { cursor, items, length: items.length, warning, heights: [] };
    if (i + 1 < this.list.length && this.list[i + 1].cursor !== next) this.list.length = i + 1;
    if (i + 1 === this.list.length) {
      this.next = next;
      this.more = next !== "";
    }
  }

  // release gives the rows back of the pages that are farthest from the i-th, but of the last.
  release(i) {
    const held = this.list.map((page, at) => ({ page, at })).filter(({ page, at }) => page.items && at < this.list.length - 1);
    held.sort((a, b) => Math.abs(b.at - i) - Math.abs(a.at - i));
    for (const { page } of held.slice(0, Math.max(held.length - HELD, 0))) page.items = null;
  }

  // remove takes a row out. It returns the row's number, or -1 where it is not at hand.
  remove(item) {
    let before = 0;
    for (const page of this.list) {
      const at = page.items?.indexOf(item) ?? -1;
      if (at >= 0) {
        page.items.splice(at, 1);
        page.length--;
        page.heights = [];
        return before + at;
      }
      before += page.length;
    }
    return -1;
  }
}

// The newest events of one stream, for pages that join it later: bounded in number and in characters.

import { compare } from "./ids.js";

const EVENTS = 8000;         // some minutes of the demo feed
const CHARACTERS = 16 << 20;

export class Recent {
  constructor(base) {
    this.reset(base);
  }

  // reset forgets everything. Every event after base is held from here on; "" where that is not known of any ID.
  reset(base) {
    this.base = base;
    this.items = [];
    this.size = 0;
  }

  add(item) {
    this.items.push(item);
    this.size += cost(item);
    if (this.items.length <= EVENTS + EVENTS / 8 && this.size <= CHARACTERS) return;
    let n = 0;
    while (this.items.length - n > EVENTS || (this.size > CHARACTERS * 0.75 && n < this.items.length)) {
      this.size -= cost(this.items[n]);
      if (this.items[n].id) this.base = this.items[n].id;
      n++;
    }
    this.items.splice(0, n);
  }

  // after returns what is held after the ID, or undefined where that may not be everything. Without an ID it is all
  // that is held.
  after(id) {
    if (!id) return this.items;
    if (!this.base || compare(id, this.base) < 0) return undefined;
    return this.items.filter((item) => item.id && compare(item.id, id) > 0);
  }
}

function cost(item) {
  return item.data.length + item.type.length + 100;
}

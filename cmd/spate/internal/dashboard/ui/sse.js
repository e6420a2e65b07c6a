// A parser of event streams by the rules of WHATWG. The browser's EventSource hands out registered types only and tells
// neither why it failed nor whether an event has an ID of its own; this one hands out everything.

// The most characters of one event's data that are kept; the rest is counted and left out. IDs are kept whatever
// becomes of the data.
export const DATA_MAX = 16 << 20;
const LINE_MAX = DATA_MAX + 64;

export class Parser {
  // on: event({id, type, data, cut}), position(id), retry(ms). id is "" where the event has no `id:` line of its own;
  // cut is how many characters of the data are missing at its end.
  constructor(on) {
    this.on = on;
    this.line = "";       // what has come of a line whose end has not
    this.lineCut = 0;     // characters of it that were left out
    this.afterCR = false; // an LF that comes next belongs to the line end before it
    this.clear();
  }

  clear() {
    this.id = null;
    this.type = "";
    this.data = [];
    this.size = 0;
    this.cut = 0;
  }

  // push takes the next piece of the stream, decoded, of whatever length.
  push(text) {
    let at = 0;
    if (this.afterCR && text.length > 0) {
      if (text[0] === "\n") at = 1;
      this.afterCR = false;
    }
    const ends = /[\r\n]/g;
    for (;;) {
      ends.lastIndex = at;
      const end = ends.exec(text)?.index;
      this.keep(text.slice(at, end));
      if (end === undefined) return;
      const { line, lineCut } = this;
      this.line = "";
      this.lineCut = 0;
      this.take(line, lineCut);
      at = end + 1;
      if (text[end] !== "\r") continue;
      if (at === text.length) this.afterCR = true;
      else if (text[at] === "\n") at++;
    }
  }

  keep(part) {
    const room = LINE_MAX - this.line.length;
    this.line += part.length > room ? part.slice(0, room) : part;
    this.lineCut += Math.max(part.length - room, 0);
  }

  take(line, lineCut) {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return undefined; // a comment
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    switch (name) {
      case "data":
        this.append(value, lineCut);
        break;
      case "event":
        this.type = value;
        break;
      case "id":
        if (!value.includes("\0")) this.id = value;
        break;
      case "retry":
        if (/^[0-9]+$/.test(value)) this.on.retry(Number(value));
    }
    return undefined;
  }

  append(value, lineCut) {
    const room = Math.max(DATA_MAX - this.size, 0);
    const kept = value.length > room ? value.slice(0, room) : value;
    this.cut += lineCut + value.length - kept.length;
    this.size += kept.length + 1;
    if (room > 0 || this.data.length === 0) this.data.push(kept);
  }

  // dispatch ends a block. One without data is no event, but its ID is where the stream stands.
  dispatch() {
    const { id, type, data, cut } = this;
    this.clear();
    if (data.length > 0) this.on.event({ id: id || "", type: type || "message", data: data.join("\n"), cut });
    else if (id) this.on.position(id);
  }
}

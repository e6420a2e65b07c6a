// The list of recent events, newest first. Rows are drawn a few times a second at most, however fast events come.

import { time } from "./format.js";

const ROWS = 100;
const LONGEST = 400; // characters of data shown in a row

export class Log {
  constructor(body, empty, isMeasurement) {
    this.body = body;
    this.empty = empty;
    this.isMeasurement = isMeasurement;
    this.rows = []; // newest last
    this.show = "all";
    this.paused = false;
    this.dirty = false;
  }

  add(kind, id, type, data) {
    this.rows.push({ at: Date.now(), kind, id, type, data });
    this.trim();
    this.dirty = true;
  }

  // trim keeps the newest rows of measurements and of the rest, so that neither pushes the other out.
  trim() {
    if (this.rows.length < 4 * ROWS) return;
    const measured = this.rows.filter((r) => this.isMeasurement(r.type)).slice(-ROWS);
    const others = this.rows.filter((r) => !this.isMeasurement(r.type)).slice(-ROWS);
    const keep = new Set([...measured, ...others]);
    this.rows = this.rows.filter((r) => keep.has(r));
  }

  filter(show) {
    this.show = show;
    this.dirty = true;
  }

  pause(paused) {
    this.paused = paused;
    this.dirty = true;
  }

  draw() {
    if (!this.dirty || this.paused) return;
    this.dirty = false;
    const shown = this.rows.filter((r) => this.show === "all" || !this.isMeasurement(r.type)).slice(-ROWS).reverse();
    this.empty.hidden = shown.length > 0;
    this.empty.textContent = this.show === "all" ? "No event yet." : "Nothing pushed yet: try the form.";
    this.body.replaceChildren(...shown.map((r) => row(r, this.isMeasurement(r.type))));
  }
}

function row(r, measurement) {
  const tr = document.createElement("tr");
  tr.dataset.kind = measurement ? "measurement" : r.kind;
  for (const [name, text] of [["time", time(r.at)], ["id", r.id || "–"], ["type", r.type], ["data", shorten(r.data)]]) {
    const td = document.createElement("td");
    td.className = name;
    td.textContent = text;
    tr.append(td);
  }
  return tr;
}

function shorten(text) {
  return text.length > LONGEST ? text.slice(0, LONGEST) + "…" : text;
}

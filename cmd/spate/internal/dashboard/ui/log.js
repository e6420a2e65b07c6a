// The list of recent events, newest first. Rows are drawn a few times a second at most, however fast events come, and
// stay the same elements while they are shown: the focus and a finger's press keep their row.

import { time } from "./format.js";

const ROWS = 100;          // shown
const HELD = 16 << 20;     // characters of data held by the rows of each of the two kinds
const LONGEST = 400;       // characters of data shown in a row; the whole is one click away

export class Log {
  // parts: {body, empty, held}, elements; on: audience(row), isFor(row, user), self() is the user that the page is, open(row),
  // filtered().
  constructor(parts, on) {
    Object.assign(this, parts);
    this.on = on;
    this.measured = new Rows();
    this.others = new Rows();
    this.order = 0;
    this.byElement = new WeakMap(); // rows, also those that are shown only because the list is held
    this.show = "all";
    this.wants = () => true; // by type, text and user
    this.user = "";
    this.paused = false;
    this.dirty = false;
    this.newer = 0;     // rows that came while the list was held
    this.body.addEventListener("click", (e) => this.click(e));
    this.body.addEventListener("keydown", (e) => this.key(e));
  }

  // add takes a row: {kind, id, type, data, cut, at}.
  add(row, isMeasurement) {
    const rows = isMeasurement ? this.measured : this.others;
    row.measurement = isMeasurement;
    row.order = this.order++;
    rows.add(row);
    this.newer++;
    this.dirty = true;
  }

  filter(show) {
    this.show = show;
    this.dirty = true;
    this.draw(true);
  }

  // match leaves out events that are not of the type, without the text, or not known to be for the user by name; "" leaves
  // out none.
  match(type, text, user) {
    const low = text.toLowerCase();
    this.wants = (row) => row.kind === "gap" || ((type === "" || row.type === type) && (low === "" || row.data.toLowerCase().includes(low)) && (user === "" || this.on.isFor(row, user)));
    this.filtered = type !== "" || text !== "" || user !== "";
    this.user = user;
    this.on.filtered();
    this.dirty = true;
    this.draw(true);
  }

  // unknown are the IDs of the rows whose topic is not known: of those that are shown, or of all that a look at their users may
  // show.
  unknown(known) {
    const rows = this.user ? this.others.list : [...this.body.children].map((tr) => this.byElement.get(tr));
    return rows.filter((row) => row.kind === "event" && row.id && !row.measurement && !known(row.id)).map((row) => row.id);
  }

  pause(paused) {
    this.paused = paused;
    this.dirty = true;
  }

  // isHeld: nothing moves under the focus either.
  isHeld() {
    return this.paused || this.body.contains(document.activeElement);
  }

  // draw brings the list up to date; with force also where it is held.
  draw(force = false) {
    if (!force && this.isHeld()) {
      const text = `${this.paused ? "paused" : "held while a row has the focus"}, ${this.newer} newer`;
      if (this.held.textContent !== text) this.held.textContent = text;
      return;
    }
    if (!this.dirty) return;
    this.dirty = false;
    this.newer = 0;
    this.held.textContent = "";
    const shown = this.rows();
    this.empty.hidden = shown.length > 0;
    this.empty.textContent = this.filtered ? this.none() : this.show === "all" ? "No event yet." : "Nothing pushed yet: try the form.";
    this.place(shown);
  }

  none() {
    const self = this.on.self();
    if (!this.user || this.user === self) return "No event of those that came is so.";
    return `No event of those that came is so. This page is ${self || "nobody"}, and gets of what is for ${this.user} by name only what is for it too.`;
  }

  rows() {
    if (this.show === "pushed") return this.others.list.filter(this.wants).reverse();
    return [...this.measured.list, ...this.others.list].filter(this.wants).sort((a, b) => b.order - a.order).slice(0, ROWS);
  }

  // place makes the body's rows the shown ones, moving none that stays.
  place(shown) {
    const stays = new Set();
    for (const row of shown) {
      row.element ||= element(row);
      this.byElement.set(row.element, row);
      fillAudience(row, this.on.audience(row));
      stays.add(row.element);
    }
    for (const tr of [...this.body.children]) {
      if (!stays.has(tr)) tr.remove();
    }
    let next = this.body.firstElementChild;
    shown.forEach((row, i) => {
      row.element.querySelector("button").tabIndex = i === 0 ? 0 : -1; // one stop of the Tab key; arrows do the rest
      if (row.element === next) next = next.nextElementSibling;
      else this.body.insertBefore(row.element, next);
    });
  }

  click(e) {
    const tr = e.target.closest("tr");
    const row = this.byElement.get(tr);
    if (!row) return;
    if (e.detail > 0) document.activeElement?.blur(); // not by the keyboard: the list shall go on afterwards
    this.on.open(row);
  }

  key(e) {
    const move = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -ROWS, End: ROWS }[e.key];
    const buttons = [...this.body.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    if (!move || at < 0) return;
    e.preventDefault();
    const to = buttons[Math.min(Math.max(at + move, 0), buttons.length - 1)];
    buttons[at].tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }
}

// Rows are the newest of one kind, bounded in number and size.
class Rows {
  constructor() {
    this.list = []; // newest last
    this.size = 0;
  }

  add(row) {
    this.list.push(row);
    this.size += row.data.length;
    while (this.list.length > ROWS || (this.size > HELD && this.list.length > 1)) this.size -= this.list.shift().data.length;
  }
}

// element is a row of the table. Roles are given for the narrow layout, which takes the table's display away.
function element(row) {
  const tr = document.createElement("tr");
  tr.setAttribute("role", "row");
  tr.dataset.kind = row.measurement ? "measurement" : row.kind;
  for (const name of ["time", "id", "type", "topic", "users", "data"]) {
    const td = document.createElement("td");
    td.setAttribute("role", "cell");
    td.className = name;
    tr.append(td);
  }
  const [at, id, type, , , data] = tr.children;
  at.textContent = time(row.at);
  id.textContent = row.id || "–";
  type.textContent = row.type;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "open";
  button.textContent = row.data.length > LONGEST ? row.data.slice(0, LONGEST) + "…" : row.data || "(empty)";
  data.append(button);
  return tr;
}

// fillAudience: it may become known after the event came.
function fillAudience(row, { topic, users }) {
  const [, , , t, u] = row.element.children;
  for (const [td, text] of [[t, topic], [u, users]]) {
    if (td.textContent !== text) td.textContent = text;
  }
}

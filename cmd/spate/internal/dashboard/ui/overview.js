// The overview: what the hub is doing, and did in the last quarter of an hour, which the hub itself keeps.

import { ask } from "./api.js";
import { Chart, Clock } from "./charts.js";
import { make, put } from "./dom.js";
import { bytes, count, percent, perSecond } from "./format.js";
import { pastSpecs } from "./pastspecs.js";

const LOOK = 1000;      // ms between two looks while the view is shown
const WINDOW = 900;     // s that the charts show
const DRAW = 250;       // ms between two drawings

const FIGURES = [
  ["clients", "Connections", (s) => count(s.hub.clients)],
  ["events", "Events accepted", (s) => count(s.hub.events)],
  ["event-rate", "Events/s", (s, last) => perSecond(last.events)],
  ["deliver-rate", "Deliveries/s", (s, last) => perSecond(last.delivered)],
  ["sent", "Bytes sent", (s) => bytes(s.hub.sent_bytes)],
  ["pending", "Waiting deliveries", (s) => count(s.hub.pending)],
  ["log", "Events in the log", (s) => (s.log ? ofBound(s.log.records, s.log.retention.records, count) : "–")],
  ["log-bytes", "Size of the log", (s) => (s.log ? ofBound(s.log.bytes, s.log.retention.bytes, bytes) : "–")],
  ["cpu", "Processor", (s, last) => percent(last.cpu)],
  ["resident", "Memory", (s) => bytes(s.process.resident_bytes)],
];

const OUTCOMES = {
  delivered: "delivered", conflated: "left out for a newer one of the same key", no_receiver: "without a receiver", dropped: "dropped: a queue was full",
  timed_out: "timed out", failed: "failed: the connection ended first", pending: "waiting", resent: "sent from history",
};

const ENDS = {
  hangup: "the peer hung up", overflow: "too slow", stalled: "took no byte for too long", write_error: "could not be written to",
  history: "history could not be read", closed: "the hub closed", expired: "its time was over", revoked: "its rights were taken back",
  reconnect: "asked to come back",
};

export class Overview {
  // on: stats(stats) is told what /stats would say.
  constructor(on) {
    this.on = on;
    this.last = 0; // time of the newest sample
    this.drawn = 0;
    this.started = "";
    this.shown = false;
    this.figures = new Map(FIGURES.map(([name, title]) => [name, this.tile(name, title)]));
    this.clear();
    document.addEventListener("visibilitychange", () => this.look());
  }

  tile(name, title) {
    const value = make("strong", {}, "–");
    value.dataset.figure = name;
    document.getElementById("figures").append(make("div", { className: "tile" }, make("span", {}, title), value));
    return value;
  }

  // clear begins with empty charts: the hub is another one, or its clock was set back.
  clear() {
    this.last = 0;
    this.clock = new Clock();
    for (const c of this.charts || []) c.remove();
    this.charts = pastSpecs.map((spec) => new Chart(document.getElementById("past"), { ...spec, away: 15_000, keep: (WINDOW + 15) * 1000 }, this.clock));
  }

  show() {
    this.shown = true;
    this.look();
  }

  hide() {
    this.shown = false;
  }

  // look asks for what is new, again and again while somebody may see it. Only one question is under way.
  async look() {
    clearTimeout(this.timer);
    if (!this.shown || document.hidden || this.asking) return;
    this.asking = true;
    try {
      this.take(await ask("/overview", this.last ? { after: this.last, step: 1 } : {}));
      this.say("");
    } catch (err) {
      this.say(`These figures are old: the hub gives no new ones (${err.message}).`);
    }
    this.asking = false;
    this.timer = setTimeout(() => this.look(), LOOK);
  }

  say(text) {
    const p = document.getElementById("overview-why");
    p.hidden = text === "";
    put(p, text);
    document.querySelector('[data-view="overview"]').classList.toggle("stale", text !== "");
  }

  take({ now, series }) {
    const { time } = series;
    if (this.started && now.started !== this.started) {
      this.started = now.started;
      this.clear();
      return; // what was asked for was the other one's
    }
    this.started = now.started;
    time.forEach((t, i) => {
      this.clock.saw(t);
      const values = Object.fromEntries(Object.entries(series).map(([name, list]) => [name, list[i]]));
      for (const chart of this.charts) chart.push(t, values, chart.spec.note?.(values, now));
      this.newest = values;
      this.last = t;
    });
    for (const [name, , text] of FIGURES) put(this.figures.get(name), this.newest ? text(now, this.newest) : "–");
    fill("outcomes", OUTCOMES, now.hub);
    fill("ends", ENDS, now.hub.ends);
    this.on.stats(now);
  }

  draw(palette, at) {
    if (!this.shown || at - this.drawn < DRAW) return;
    this.drawn = at;
    for (const chart of this.charts) chart.draw(palette, WINDOW);
  }
}

function ofBound(now, most, format) {
  return most > 0 ? `${format(now)} of ${format(most)}` : format(now);
}

// fill writes the counts into a table, whose rows are made once.
function fill(id, names, counts) {
  const table = document.getElementById(id);
  if (table.rows.length === 0) {
    for (const [name, title] of Object.entries(names)) {
      const value = make("td");
      value.dataset.count = name;
      table.append(make("tr", {}, make("th", { scope: "row" }, title), value));
    }
  }
  for (const td of table.querySelectorAll("td")) put(td, count(counts[td.dataset.count]));
}

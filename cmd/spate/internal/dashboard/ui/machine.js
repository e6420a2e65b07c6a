// The machine's charts, which the demo feed measures.

import { Chart, Clock } from "./charts.js";
import { chartsOf, specs } from "./specs.js";

export class Machine {
  // on: restarted() is told when the feed is another hub's.
  constructor(parent, on) {
    this.parent = parent;
    this.on = on;
    this.clock = new Clock();
    this.charts = {};
    this.topics = [];
    this.started = 0;
  }

  // of takes what /stats says: whether there is a feed, and what its topics are.
  of({ demo, topics }) {
    this.topics = demo ? topics : [];
    if (demo === Object.keys(this.charts).length > 0) return;
    for (const chart of Object.values(this.charts)) chart.remove();
    this.charts = {};
    if (!demo) return;
    for (const name of Object.keys(specs)) this.charts[name] = new Chart(this.parent, specs[name], this.clock);
  }

  // take draws an event of the feed, and reports whether it is one: somebody may push other things under a measurement's
  // type.
  take({ type, data }) {
    if (!this.topics.includes(type)) return false;
    try {
      return this.drawn(type, JSON.parse(data));
    } catch {
      return false;
    }
  }

  drawn(topic, d) {
    if (typeof d?.t !== "number") return false;
    this.clock.saw(d.t);
    if (topic === "hub") this.sawStart(d.started);
    for (const name of chartsOf(topic)) this.charts[name].push(d.t, d, specs[name].note(d));
    return true;
  }

  sawStart(t) {
    if (this.started && t !== this.started) {
      this.on.restarted();
      this.clock.marks.push(t);
    }
    this.started = t;
  }

  draw(palette, seconds) {
    for (const chart of Object.values(this.charts)) chart.draw(palette, seconds);
  }
}

// The row of figures about the page's stream.

import { count, time } from "./format.js";

const RATE_SPAN = 5000; // ms over which events a second are taken

export class Tiles {
  constructor(section, stream) {
    this.section = section;
    this.stream = stream;
    this.$ = (id) => section.querySelector("#" + id);
    this.arrivals = []; // times of the live events of the last RATE_SPAN
    this.restarts = 0;
    this.heard = 0;     // when the stream was last known to be live
  }

  // arrived counts a live event into the rate.
  arrived() {
    this.arrivals.push(Date.now());
  }

  draw() {
    const { stream } = this;
    const now = Date.now();
    const live = stream.state === "live";
    if (live) this.heard = now;
    const { arrivals } = this;
    let n = 0;
    while (n < arrivals.length && arrivals[n] < now - RATE_SPAN) n++;
    arrivals.splice(0, n);
    this.section.classList.toggle("stale", !live);
    this.put("as-of", !live && this.heard ? `, as of ${time(this.heard)}` : "");
    this.put("last-id", stream.lastId || "–");
    this.put("events", count(stream.events));
    this.put("rate", live ? count(arrivals.length / (RATE_SPAN / 1000)) : "–");
    this.put("resumes", count(stream.resumes));
    this.put("restarts", count(this.restarts));
    for (const [id, bad] of [["gaps", stream.gaps.length], ["faults", stream.faults]]) {
      this.put(id, count(bad));
      this.$(id).parentElement.classList.toggle("bad", bad > 0);
    }
  }

  put(id, text) {
    const e = this.$(id);
    if (e.textContent !== text) e.textContent = text;
  }
}

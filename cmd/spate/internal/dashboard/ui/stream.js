// The page's stream: what comes over the Link, each event once, and the counters that would show it if one were not.

import { compare } from "./ids.js";
import { Link } from "./link.js";

// How many IDs are kept for inspection; 200,000 are about three hours of the demo feed.
const KEEP = 200_000;

export class Stream {
  // on: event(event), gap(gap), skipped(count), state(state), stats(stats or null, why, forbidden), pushed({id, topic, users}).
  constructor(build, on) {
    this.on = on;
    this.ids = [];      // {id, type} of every event seen, oldest first
    this.trimmed = 0;   // how many of the oldest were dropped from ids
    this.gaps = [];     // {from, to}
    this.lastId = "";
    this.events = 0;
    this.resumes = 0;   // times the stream went on after it was cut
    this.faults = 0;    // IDs that came twice or late
    this.ephemeral = 0; // events without an ID of their own
    this.skipped = 0;   // events that this page was too slow for
    this.state = "connecting";
    this.subscription = null;
    this.after = "";
    this.cut = false;
    this.link = new Link(build, { message: (m) => this.message(m), ready: (lock) => this.hello(lock) });
  }

  hello(lock) {
    this.link.post({ kind: "hello", lock });
    if (this.subscription) this.ask();
  }

  // open starts, or goes on with another subscription. after is the ID to start after where none was seen.
  open(subscription, after = "") {
    this.subscription = subscription;
    this.after = after;
    this.cut = false;
    this.ask();
  }

  ask() {
    this.link.post({ kind: "open", ...this.subscription, last: this.lastId, after: this.after });
  }

  // again asks at once instead of after the pause.
  again() {
    this.link.post({ kind: "again" });
  }

  // tell lets all pages know whom a pushed event is for: the stream does not say.
  tell(pushed) {
    this.link.post({ ...pushed, kind: "pushed" });
  }

  message(m) {
    switch (m.kind) {
      case "items":
        for (const item of m.list) this.take(item);
        this.link.post({ kind: "read", size: m.size });
        break;
      case "skipped":
        this.skipped += m.count;
        this.on.skipped(m.count);
        break;
      case "state":
        this.to(m);
        break;
      case "stats":
        this.on.stats(m.stats ?? null, m.why, m.forbidden === true);
        break;
      case "pushed":
        this.on.pushed(m);
    }
  }

  take(item) {
    if (item.kind === "gap") return this.gap(item);
    if (item.fault) this.faults++;
    else if (item.id && this.lastId && compare(item.id, this.lastId) <= 0) return undefined; // seen before a change of streams
    this.events++;
    if (item.id) this.keep(item);
    else this.ephemeral++;
    return this.on.event(item);
  }

  keep({ id, type, fault }) {
    if (!fault) this.lastId = id;
    this.ids.push({ id, type });
    if (this.ids.length <= KEEP + KEEP / 10) return;
    this.trimmed += this.ids.length - KEEP;
    this.ids.splice(0, this.ids.length - KEEP);
  }

  gap({ from, to }) {
    if (/^\d+$/.test(to)) this.lastId = to;
    this.gaps.push({ from, to });
    this.on.gap({ from, to });
  }

  to(state) {
    if (state.state === "reconnecting" && this.state === "live") this.cut = true;
    if (state.state === "live" && this.cut) {
      this.cut = false;
      this.resumes++;
    }
    this.state = state.state;
    this.on.state(state);
  }
}

// One logical stream over as many EventSources as it takes.
//
// The browser reconnects an EventSource by itself and sends Last-Event-ID. Where it gives up (an answer that is no
// stream, such as the 503 of a hub that is draining), or where the subscription changes, a new EventSource goes on with
// ?last_event_id=. Either way each event is seen once, and the counters here would show it if one were not.

import { compare } from "./ids.js";

const RETRY_MIN = 250;
const RETRY_MAX = 5000;
// How many IDs are kept for inspection; 200,000 are about three hours of the demo feed.
const KEEP = 200000;

export class Stream {
  // on is an object of callbacks: event({id, type, data}), gap({from, to}), state(name).
  constructor(types, on) {
    this.types = new Set(["message", ...types]);
    this.on = on;
    this.ids = [];      // {id, type} of every event seen, oldest first
    this.trimmed = 0;   // how many of the oldest were dropped from ids
    this.gaps = [];     // {from, to}
    this.lastId = "";
    this.events = 0;
    this.resumes = 0;   // times the stream went on after it was cut
    this.faults = 0;    // IDs that came twice or late
    this.ephemeral = 0; // events without an ID of their own
    this.last = null;   // the newest event
    this.state = "connecting";
    this.subscription = { uid: "", topics: [] };
    this.source = null;
    this.timer = 0;
    this.delay = RETRY_MIN;
    this.opened = false;
  }

  // open starts, or goes on with another subscription. after is the ID to start after on the very first call.
  open(subscription, after = "") {
    if (this.subscription !== subscription) this.opened = false; // not a resume
    this.subscription = subscription;
    this.close();
    const query = new URLSearchParams();
    if (subscription.uid) query.set("uid", subscription.uid);
    for (const topic of subscription.topics) query.append("topic", topic);
    const from = this.lastId || after;
    if (from) query.set("last_event_id", from);
    const source = new EventSource("/events?" + query);
    this.source = source;
    source.onopen = () => {
      this.delay = RETRY_MIN;
      if (this.opened) this.resumes++;
      this.opened = true;
      this.to("live");
    };
    source.onerror = () => {
      if (source !== this.source) return;
      this.to("reconnecting");
      if (source.readyState === EventSource.CLOSED) {
        this.timer = setTimeout(() => this.open(this.subscription, after), this.delay);
        this.delay = Math.min(this.delay * 2, RETRY_MAX);
      }
    };
    for (const type of this.types) this.attach(type);
    source.addEventListener("gap", (e) => this.gap(e));
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  // listen makes events of one more type visible: an EventSource hands out only types that were asked for.
  listen(type) {
    if (!type || type === "gap" || type === "disconnect" || this.types.has(type)) return;
    this.types.add(type);
    if (this.source) this.attach(type);
  }

  attach(type) {
    const source = this.source;
    source.addEventListener(type, (e) => {
      if (source === this.source) this.receive(type, e);
    });
  }

  receive(type, e) {
    const event = { id: e.lastEventId, type, data: e.data };
    const order = this.last ? compare(event.id, this.last.id) : 1;
    this.events++;
    if (!event.id || (order === 0 && (type !== this.last.type || e.data !== this.last.data))) {
      // An event without an ID shows the ID of the one before it.
      this.ephemeral++;
      this.on.event({ id: "", type, data: e.data });
      return;
    }
    if (order <= 0) this.faults++;
    this.last = event;
    this.lastId = event.id;
    this.ids.push({ id: event.id, type });
    if (this.ids.length > KEEP + KEEP / 10) {
      this.trimmed += this.ids.length - KEEP;
      this.ids.splice(0, this.ids.length - KEEP);
    }
    this.on.event(event);
  }

  gap(e) {
    let gap = { from: "?", to: "?" };
    try {
      gap = JSON.parse(e.data);
    } catch {
      // Counted all the same: that something is missing matters more than what.
    }
    this.gaps.push(gap);
    this.on.gap(gap);
  }

  to(state) {
    this.state = state;
    this.on.state(state);
  }
}

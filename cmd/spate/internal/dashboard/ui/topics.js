// The topics, as the hub sorts them.

import { ask } from "./api.js";
import { field, make } from "./dom.js";
import { bytes, count, moment, perSecond } from "./format.js";
import { LongList } from "./longlist.js";

const PAGE = 200; // rows that are asked for at once

export class Topics {
  constructor(section) {
    this.list = new LongList("Topics", [
      { name: "topic", title: "Topic", cell: (t) => t.topic || "all others" },
      { name: "rate", title: "Events/s", cell: (t) => perSecond(t.rate) },
      { name: "count", title: "Events", cell: (t) => count(t.events) },
      { name: "size", title: "Bytes", cell: (t) => bytes(t.bytes) },
      { name: "subscribers", title: "Subscribers", cell: (t) => (t.subscribers === undefined ? "–" : count(t.subscribers)) },
      { name: "kept", title: "Kept", cell: (t) => (t.kept === undefined ? "–" : kept(t.kept)) },
      { name: "retention", title: "Kept at most", cell: (t) => (t.retention === undefined ? "as the log is" : bounds(t.retention)) },
    ], (cursor) => this.load(cursor), () => (this.match() ? "No topic is so." : "No topic was pushed to yet."));
    this.form = make("form", { className: "row follow", autocomplete: "off" },
      field("Only topics that match", "match", { placeholder: "any, or a pattern such as orders.*" }), make("button", { type: "submit" }, "Show"));
    this.form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.list.first();
    });
    section.append(make("div", { className: "card" }, make("h2", {}, "Topics"), this.form, this.list.bar, this.list.element,
      make("p", { className: "muted note" }, "Counts are since the hub began; topics with none are from before. The rate is that of the last ten seconds or so. Kept are the events that the log has now.")));
  }

  show() {
    this.list.reload();
  }

  match() {
    return this.form.elements.match.value.trim();
  }

  async load(cursor) {
    const page = await ask("/topics", { cursor, match: this.match(), limit: PAGE });
    return { items: page.others ? [{ ...page.others, topic: "" }, ...page.topics] : page.topics, next: page.next };
  }
}

// kept is how many events the log has, and since when.
function kept({ events, at_least: more, since }) {
  if (events === 0) return "none";
  return `${more ? "at least " : ""}${count(events)}, since ${moment(since)}`;
}

function bounds({ age_seconds: age, records, bytes: size }) {
  const all = [];
  if (age > 0) all.push(`${count(age)} s`);
  if (records > 0) all.push(`${count(records)} events`);
  if (size > 0) all.push(bytes(size));
  return all.join(" or ");
}

// The topics that were pushed to since the hub began, page by page: the hub sorts them.

import { ask } from "./api.js";
import { field, make } from "./dom.js";
import { bytes, count, perSecond } from "./format.js";
import { Pager } from "./pager.js";
import { Table } from "./table.js";

const PAGE = 100;

export class Topics {
  constructor(section) {
    this.table = new Table("Topics", [
      { name: "topic", title: "Topic", cell: (t) => t.topic || "all others" },
      { name: "rate", title: "Events/s", cell: (t) => perSecond(t.rate) },
      { name: "count", title: "Events", cell: (t) => count(t.events) },
      { name: "size", title: "Bytes", cell: (t) => bytes(t.bytes) },
      { name: "subscribers", title: "Subscribers", cell: (t) => (t.subscribers === undefined ? "–" : count(t.subscribers)) },
      { name: "kept", title: "Kept", cell: (t) => (t.kept === undefined ? "–" : kept(t.kept)) },
      { name: "retention", title: "Kept at most", cell: (t) => (t.retention === undefined ? "as the log is" : bounds(t.retention)) },
    ]);
    this.pager = new Pager((cursor, current) => this.load(cursor, current));
    this.form = make("form", { className: "row follow", autocomplete: "off" },
      field("Only topics that match", "match", { placeholder: "any, or a pattern such as orders.*" }), make("button", { type: "submit" }, "Show"));
    this.form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.pager.first();
    });
    section.append(make("div", { className: "card" }, make("h2", {}, "Topics"), this.form, this.pager.element, this.table.element,
      make("p", { className: "muted note" }, "Counts are since the hub began. The rate is that of the last ten seconds or so. Kept are the events that the log has now.")));
  }

  show() {
    this.pager.go(this.pager.cursors);
  }

  async load(cursor, current) {
    const page = await ask("/topics", { cursor, match: this.form.elements.match.value.trim(), limit: PAGE });
    const all = page.others ? [{ ...page.others, topic: "" }, ...page.topics] : page.topics;
    if (current()) this.table.show(all, "No topic was pushed to since the hub began.");
    return { shown: page.topics.length, next: page.next };
  }
}

// kept is how many events the log has, and since when.
function kept({ events, at_least: more, since }) {
  if (events === 0) return "none";
  return `${more ? "at least " : ""}${count(events)}, since ${new Date(since).toLocaleString()}`;
}

function bounds({ age_seconds: age, records, bytes: size }) {
  const all = [];
  if (age > 0) all.push(`${count(age)} s`);
  if (records > 0) all.push(`${count(records)} events`);
  if (size > 0) all.push(bytes(size));
  return all.join(" or ");
}

// The events of the past, as a stream would have got them.

import { ask } from "./api.js";
import { indent } from "./detail.js";
import { field, make } from "./dom.js";
import { moment } from "./format.js";
import { LongList } from "./longlist.js";
import { list } from "./names.js";

const PAGE = 100; // rows that are asked for at once
const SHOWN = 300; // characters of data in a row

export class History {
  // on: topics() are those that the reader may follow; open(event) shows one whole.
  constructor(section, on) {
    this.on = on;
    this.list = new LongList("Events of the past", [
      { name: "time", title: "Time", cell: (e) => moment(e.time) },
      { name: "id", title: "ID", cell: (e) => e.id },
      { name: "type", title: "Type", cell: (e) => e.event || "message" },
      { name: "topic", title: "Topic", cell: (e) => e.topic || "none" },
      { name: "key", title: "Key", cell: (e) => e.key || "none" },
      { name: "data", title: "Data", cell: (e) => this.button(e) },
    ], (cursor) => this.load(cursor), () => "No event of these topics and this user is kept from there on.");
    this.form = make("form", { className: "row follow", autocomplete: "off" },
      field("After the ID", "after", { placeholder: "the oldest" }),
      field("or since", "since", { placeholder: "15m, or 2026-01-31T12:00:00Z" }),
      field("Topics", "topics", { title: "Topics and patterns such as orders.*, separated by commas" }),
      field("User", "uid", { placeholder: "nobody" }),
      make("button", { type: "submit" }, "Show"));
    this.form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.list.first();
    });
    section.append(make("div", { className: "card" }, make("h2", {}, "History"), this.form, this.list.bar, this.list.warning, this.list.element));
  }

  show() {
    const { topics } = this.form.elements;
    if (this.begun) return;
    this.begun = true;
    topics.value ||= this.on.topics().join(", ");
    this.list.first();
  }

  async load(cursor) {
    const { after, since, topics, uid } = this.form.elements;
    const begin = cursor ? { after: cursor } : { after: after.value.trim(), since: since.value.trim() };
    const page = await ask("/history", { ...begin, topic: list(topics.value) || [], uid: uid.value.trim(), limit: PAGE });
    const gap = begin.after && page.gap;
    const warning = gap ? `Events after ${gap.from} up to ${gap.to} may be missing.` : "";
    return { items: page.events, next: page.more ? page.next : "", warning };
  }

  button(e) {
    const text = typeof e.data === "string" ? e.data : JSON.stringify(e.data);
    const button = make("button", { type: "button", className: "open" }, text.length > SHOWN ? text.slice(0, SHOWN) + "…" : text || "(empty)");
    if (indent(text)) button.title = "JSON";
    button.addEventListener("click", () => this.on.open({ ...e, data: text }));
    return button;
  }
}

// The connections, as the hub lists them, page by page.

import { ask } from "./api.js";
import { choice, field, make } from "./dom.js";
import { age, bytes, count } from "./format.js";
import { Pager } from "./pager.js";
import { sure } from "./sure.js";
import { Table } from "./table.js";

const PAGE = 100;

export class Connections {
  constructor(section) {
    this.table = new Table("Connections", [
      { name: "uid", title: "User", cell: (c) => c.uid || "anonymous" },
      { name: "state", title: "State", cell: (c) => c.state },
      { name: "age", title: "Age", cell: (c) => age(Date.now() - Date.parse(c.since)) },
      { name: "lag", title: "Waiting", cell: (c) => (c.waiting_events ? `${count(c.waiting_events)} events, ${bytes(c.waiting_bytes)}` : c.state === "behind" ? "reads the log" : "nothing") },
      { name: "position", title: "Has all up to", cell: (c) => c.last_id },
      { name: "topics", title: "Topics", cell: (c) => count(c.topics) },
      { name: "address", title: "Address", cell: (c) => c.address || "–" },
      { name: "client", title: "Client", cell: (c) => c.client || "–" },
      { name: "transport", title: "Transport", cell: (c) => c.transport || "–" },
      { name: "act", title: "Action", cell: (c) => this.button(c) },
    ]);
    this.pager = new Pager((cursor, current) => this.load(cursor, current));
    this.form = make("form", { className: "row follow", autocomplete: "off" },
      field("Only of user", "uid", { placeholder: "any" }),
      field("that follow the topic", "topic", { placeholder: "any" }),
      choice("that are", "state", "in any state", ["live", "lagging", "behind"]),
      field("from the address", "address", { placeholder: "any" }),
      make("button", { type: "submit" }, "Show"));
    this.form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.pager.first();
    });
    this.online = make("span", { className: "muted", role: "status" });
    section.append(make("div", { className: "card" }, make("div", { className: "row head" }, make("h2", {}, "Connections"), this.online), this.form, this.pager.element, this.table.element));
  }

  show() {
    this.pager.go(this.pager.cursors);
  }

  async load(cursor, current) {
    const [uid, topic, state, address] = ["uid", "topic", "state", "address"].map((name) => this.form.elements[name].value.trim());
    const page = await ask("/connections", { uid, topic, state, address, cursor, limit: PAGE });
    const user = uid && await ask("/users/" + encodeURIComponent(uid));
    if (current()) {
      this.online.textContent = !user ? "" : user.online ? `${uid} is online since ${new Date(user.since).toLocaleString()}, connections: ${user.connections}` : `${uid} is not online`;
      this.table.show(page.connections, uid || topic || state || address ? "No connection is so." : "Nobody is connected.");
    }
    return { shown: page.connections.length, next: page.next };
  }

  button(c) {
    const who = c.uid || "anonymous";
    const button = make("button", { type: "button", className: "ghost", "aria-label": `Disconnect ${who}, connection ${c.id}` }, "Disconnect");
    button.addEventListener("click", () => this.end(c, who));
    return button;
  }

  async end(c, who) {
    if (!await sure(`End the connection of ${who}?`, `Connection ${c.id}${c.address ? ", from " + c.address : ""}. The client is told, and most clients come back by themselves.`, "Disconnect")) return;
    try {
      await ask("/connections/" + c.id, {}, "DELETE");
    } catch (err) {
      this.pager.say(err.message, "bad");
      return;
    }
    await this.pager.go(this.pager.cursors);
    this.pager.say(`connection ${c.id} of ${who} is ended`, "good");
  }
}

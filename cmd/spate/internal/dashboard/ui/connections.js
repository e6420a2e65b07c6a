// The connections, as the hub lists them.

import { ask } from "./api.js";
import { choice, field, make } from "./dom.js";
import { age, bytes, count, moment } from "./format.js";
import { LongList } from "./longlist.js";
import { sure } from "./sure.js";

const PAGE = 200; // rows that are asked for at once

export class Connections {
  constructor(section) {
    this.list = new LongList("Connections", [
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
    ], (cursor, current) => this.load(cursor, current), () => (this.asked().some(Boolean) ? "No connection is so." : "Nobody is connected."));
    this.form = make("form", { className: "row follow", autocomplete: "off" },
      field("Only of user", "uid", { placeholder: "any" }),
      field("that follow the topic", "topic", { placeholder: "any" }),
      choice("that are", "state", "in any state", ["live", "lagging", "behind"]),
      field("from the address", "address", { placeholder: "any" }),
      make("button", { type: "submit" }, "Show"));
    this.form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.list.first();
    });
    this.online = make("span", { className: "muted", role: "status" });
    section.append(make("div", { className: "card" }, make("div", { className: "row head" }, make("h2", {}, "Connections"), this.online), this.form, this.list.bar, this.list.element));
  }

  show() {
    this.list.reload();
  }

  // asked is what the form asks for: user, topic, state, address.
  asked() {
    return ["uid", "topic", "state", "address"].map((name) => this.form.elements[name].value.trim());
  }

  async load(cursor, current) {
    const [uid, topic, state, address] = this.asked();
    const page = await ask("/connections", { uid, topic, state, address, cursor, limit: PAGE });
    if (!cursor) {
      const user = uid && await ask("/users/" + encodeURIComponent(uid));
      if (current()) this.tellOnline(uid, user);
    }
    return { items: page.connections, next: page.next };
  }

  tellOnline(uid, user) {
    this.online.textContent = !user ? "" : user.online ? `${uid} is online since ${moment(user.since)}, connections: ${user.connections}` : `${uid} is not online`;
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
      this.list.say(err.message, "bad");
      return;
    }
    this.list.remove(c);
    this.list.say(`connection ${c.id} of ${who} is ended`, "good");
  }
}

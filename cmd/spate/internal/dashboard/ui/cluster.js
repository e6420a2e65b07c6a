// The cluster: this hub's place in it, and all hubs as each says of itself.

import { ask } from "./api.js";
import { make, put } from "./dom.js";
import { count } from "./format.js";
import { Table } from "./table.js";

const LOOK = 2000; // ms between two questions while the view is shown; hubs speak as often

const ROWS = {
  stream: "Stream", server: "NATS server", position: "Position in the stream", ready: "Takes streams and pushes",
  last: "Newest event here", clients: "Connections here",
};

export class Cluster {
  constructor(section) {
    this.cells = {};
    const here = make("table", { className: "plain" });
    for (const [name, title] of Object.entries(ROWS)) {
      this.cells[name] = make("td", { className: "mono" });
      here.append(make("tr", {}, make("th", { scope: "row" }, title), this.cells[name]));
    }
    this.hubs = new Table("Hubs", [
      { name: "hub", title: "Hub", cell: (h) => h.name + (h.self ? " (this one)" : "") },
      { name: "ready", title: "Ready", cell: (h) => (!h.answered ? "does not answer" : h.ready ? "yes" : "no: " + h.reason) },
      { name: "clients", title: "Connections", cell: (h) => count(h.clients) },
      { name: "lag", title: "Lag", cell: (h) => (h.lag === 0 ? "none" : `${count(h.lag)} IDs`) },
      { name: "position", title: "Newest event", cell: (h) => h.position },
      { name: "version", title: "Version", cell: (h) => h.version },
      { name: "heard", title: "Heard", cell: (h) => new Date(h.heard).toLocaleTimeString() },
    ]);
    this.why = make("p", { className: "muted note", role: "status" });
    section.append(
      make("div", { className: "card" }, make("h2", {}, "Hubs"), this.hubs.element, this.why),
      make("div", { className: "card" }, make("h2", {}, "Here"), here));
  }

  show() {
    this.shown = true;
    this.look();
  }

  hide() {
    this.shown = false;
    clearTimeout(this.timer);
  }

  // look asks for the list, and again as long as the view is shown.
  async look() {
    clearTimeout(this.timer);
    try {
      const { hubs, clients } = await ask("/cluster");
      this.hubs.show(hubs);
      put(this.why, `${count(clients)} connections at all hubs that answer. The lag is in IDs, holes among them.`);
    } catch (err) {
      put(this.why, `The list is not to be had: ${err.message}`);
    }
    clearTimeout(this.timer);
    if (this.shown) this.timer = setTimeout(() => this.look(), LOOK);
  }

  // draw takes what /stats says.
  draw({ cluster, position, hub }) {
    if (!cluster) return;
    put(this.cells.stream, cluster.stream);
    put(this.cells.server, cluster.server || "none: not connected");
    put(this.cells.position, cluster.position);
    put(this.cells.ready, cluster.ready ? "yes" : "no: " + cluster.reason);
    put(this.cells.last, position);
    put(this.cells.clients, count(hub.clients));
  }
}

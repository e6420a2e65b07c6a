// The hub's place in its cluster, as far as it knows by itself.

import { make, put } from "./dom.js";
import { count } from "./format.js";

const ROWS = {
  stream: "Stream", server: "NATS server", position: "Position in the stream", ready: "Takes streams and pushes",
  last: "Newest event here", clients: "Connections here",
};

export class Cluster {
  constructor(section) {
    this.cells = {};
    const table = make("table", { className: "plain" });
    for (const [name, title] of Object.entries(ROWS)) {
      this.cells[name] = make("td", { className: "mono" });
      table.append(make("tr", {}, make("th", { scope: "row" }, title), this.cells[name]));
    }
    section.append(make("div", { className: "card" }, make("h2", {}, "Cluster"), table,
      make("p", { className: "muted note" }, "A hub knows its own place alone: the others' are in their dashboards, and the lag of each is the difference of positions.")));
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

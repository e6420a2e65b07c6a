// A table of what the hub lists. On a narrow screen each row is a card, whose cells name their column.

import { make } from "./dom.js";

export class Table {
  // columns: [{name, title, cell(item) → text or element}].
  constructor(label, columns) {
    this.columns = columns;
    const head = make("tr", { role: "row" }, ...columns.map((c) => make("th", { role: "columnheader", scope: "col", className: c.name }, c.title)));
    this.body = make("tbody", { role: "rowgroup" });
    this.empty = make("p", { className: "empty" }, "Nothing yet.");
    const table = make("table", { className: "list", role: "table", "aria-label": label }, make("thead", { role: "rowgroup" }, head), this.body);
    this.element = make("div", { className: "scroll tall", role: "region", tabIndex: 0, "aria-label": "List: " + label }, table, this.empty);
  }

  // show replaces the rows.
  show(items, empty = "There is nothing to show.") {
    this.body.replaceChildren(...items.map((item) => this.row(item)));
    this.empty.hidden = items.length > 0;
    this.empty.textContent = empty;
  }

  row(item) {
    const cells = this.columns.map((c) => {
      const content = c.cell(item);
      const td = make("td", { role: "cell", className: c.name, "data-title": c.title || " " }, content);
      if (typeof content === "string") td.title = content;
      return td;
    });
    return make("tr", { role: "row" }, ...cells);
  }
}

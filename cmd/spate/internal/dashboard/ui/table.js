// A table of what the hub lists. On a narrow screen each row is a card, whose cells name their column.

import { make } from "./dom.js";

// columns are [{name, title, cell(item) → text or element}].

export class Table {
  constructor(label, columns) {
    this.columns = columns;
    this.body = make("tbody", { role: "rowgroup" });
    this.empty = make("p", { className: "empty" }, "Nothing yet.");
    const table = make("table", { className: "list", role: "table", "aria-label": label }, headOf(columns), this.body);
    this.element = make("div", { className: "scroll tall", role: "region", tabIndex: 0, "aria-label": "List: " + label }, table, this.empty);
  }

  // show replaces the rows.
  show(items, empty = "There is nothing to show.") {
    this.body.replaceChildren(...items.map((item) => rowOf(this.columns, item)));
    this.empty.hidden = items.length > 0;
    this.empty.textContent = empty;
  }
}

export function headOf(columns) {
  const cells = columns.map((c) => make("th", { role: "columnheader", scope: "col", className: c.name }, c.title));
  return make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...cells));
}

export function rowOf(columns, item) {
  const cells = columns.map((c) => {
    const content = c.cell(item);
    const td = make("td", { role: "cell", className: c.name, "data-title": c.title || " " }, content);
    if (typeof content === "string") td.title = content;
    return td;
  });
  return make("tr", { role: "row" }, ...cells);
}

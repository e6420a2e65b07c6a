// The settings in force, and what each is from.

import { ask } from "./api.js";
import { make } from "./dom.js";
import { Table } from "./table.js";

export class Settings {
  constructor(section) {
    this.table = new Table("Settings", [
      { name: "name", title: "Setting", cell: (s) => s.name },
      { name: "value", title: "Value", cell: (s) => (s.value === null ? "–" : [s.value].flat().join(", ")) },
      { name: "origin", title: "From", cell: (s) => s.origin },
    ]);
    this.given = make("input", { type: "checkbox", name: "given" });
    this.given.addEventListener("change", () => this.draw());
    this.said = make("span", { className: "muted", role: "status" });
    section.append(make("div", { className: "card" },
      make("div", { className: "row head" }, make("h2", {}, "Settings"), this.said),
      make("label", { className: "tick" }, this.given, " Only those that are no defaults"), this.table.element));
    this.all = [];
  }

  async show() {
    try {
      this.all = (await ask("/settings")).settings;
      this.said.textContent = `${this.all.length} settings; secrets are not shown`;
      this.draw();
    } catch (err) {
      this.said.textContent = err.message;
    }
  }

  draw() {
    this.table.show(this.all.filter((s) => s.given || !this.given.checked), "All settings are defaults.");
  }
}

// The dialog that shows one event whole.

import { pushCommand } from "./curl.js";
import { bytes, count, time } from "./format.js";

const INDENT_MAX = 2 << 20; // characters that are laid out
const PIECE = 2000;         // characters
const DEPTH = 40;           // levels that are indented; deeper ones stand below each other

export class Detail {
  constructor(dialog) {
    this.dialog = dialog;
    this.$ = (name) => dialog.querySelector(`[data-part="${name}"]`);
    this.$("close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (e) => {
      if (e.target === dialog) dialog.close(); // beside it
    });
    this.$("form").addEventListener("click", () => this.present(!this.indented));
    const copy = this.$("copy");
    const curl = this.$("curl");
    copy.hidden = !navigator.clipboard;
    copy.addEventListener("click", () => this.copy(copy, this.row.data));
    curl.addEventListener("click", () => this.copy(curl, this.command()));
  }

  // show opens the dialog on a row of the log, with whom it was for.
  show(row, { topic, users, key, push = null }) {
    this.row = row;
    this.push = push;
    this.$("title").textContent = row.kind === "gap" ? "Gap" : row.id ? "Event " + row.id : "Event without an ID";
    this.$("time").textContent = `${time(row.at)} on ${new Date(row.at).toLocaleDateString()} (${row.kept ? "pushed" : "came here"})`;
    this.$("type").textContent = row.type;
    this.$("topic").textContent = topic;
    this.$("users").textContent = users;
    this.$("key").textContent = key || "?";
    this.$("size").textContent = `${bytes(new TextEncoder().encode(row.data).length)}, ${count(row.data.length)} characters`;
    this.$("cut").hidden = !row.cut;
    this.$("cut").textContent = row.cut ? `The last ${count(row.cut)} characters are not shown: this page keeps 16 Mi of each event.` : "";
    this.pretty = indent(row.data);
    this.$("form").hidden = this.pretty === null;
    this.$("copy").textContent = "Copy";
    this.$("curl").textContent = "Copy as curl";
    this.$("curl").hidden = !navigator.clipboard || !push;
    this.present(false);
    this.dialog.showModal();
    this.$("data").scrollTop = 0;
  }

  present(indented) {
    this.indented = indented;
    this.$("form").setAttribute("aria-pressed", String(indented));
    this.$("data").replaceChildren(...pieces(indented ? this.pretty : this.row.data));
  }

  // command pushes the same event again, to the same.
  command() {
    const { row, push: { uids, topic, key } } = this;
    return pushCommand({ uids, events: [{ event: row.type === "message" ? undefined : row.type, topic, key, ephemeral: row.id ? undefined : true, data: row.data }] });
  }

  async copy(button, text) {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
  }
}

// pieces are a text as blocks of bounded length, together exactly the text: breaking one word of some hundred thousand
// characters into lines takes a browser minutes. Blocks end after a line where there is one to end.
function pieces(text) {
  const all = [];
  for (let at = 0; at < text.length;) {
    let end = Math.min(at + PIECE, text.length);
    if (end < text.length) {
      const line = text.lastIndexOf("\n", end - 1) + 1;
      if (line > at) end = line;
      else if (/[\ud800-\udbff]/.test(text[end - 1])) end--;
    }
    const piece = document.createElement("span");
    piece.textContent = text.slice(at, end);
    all.push(piece);
    at = end;
  }
  return all;
}

// indent lays out a JSON object or array without touching a character of its values: a number beyond what JavaScript
// holds stays as it is. null for any other text.
export function indent(text) {
  if (text.length > INDENT_MAX || !/^\s*[[{]/.test(text)) return null;
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  let depth = 0;
  const line = () => "\n" + "  ".repeat(Math.min(depth, DEPTH));
  const out = [];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{]\s*[\]}]|[[\]{}:,]|[^\s"[\]{}:,]+/g)) {
    if (token === "[" || token === "{") {
      depth++;
      out.push(token, line());
    } else if (token === "]" || token === "}") {
      depth--;
      out.push(line(), token);
    } else if (token === ",") {
      out.push(token, line());
    } else if (token === ":") {
      out.push(": ");
    } else {
      out.push(token);
    }
  }
  return out.join("");
}

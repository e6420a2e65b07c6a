// The form that pushes events, and says what became of them.

import { ask } from "./api.js";
import { hub } from "./at.js";
import { pushCommand } from "./curl.js";
import { make, put } from "./dom.js";
import { sentence } from "./feed.js";
import { list } from "./names.js";

const PATIENCE = 3000;  // ms in which an event should have come back to this page
const SLOW = 2000;      // ms without an answer after which the form says so
const GIVE_UP = 20_000; // ms; the hub's own limit is 10 s
const ARRIVALS = 50_000; // IDs remembered while a push has no answer yet
const EVENTS = 50;      // events that one form pushes at once

export class PushForm {
  // on: whyNot(uids, event) tells why this page's stream would not get an event, as a sentence, or ""; cut() why the
  // stream gets nothing now, but what was pushed meanwhile when it goes on, or ""; pushed(event) is told of what was
  // acknowledged; reach() is whether the hub may be asked how many connections an event reaches.
  constructor(form, on) {
    this.form = form;
    this.on = on;
    this.arrivals = new Map(); // ID -> when it came: an event may be here before the answer to its push is
    this.current = null;       // the newest push: what older ones still have to say is not shown
    this.result = form.querySelector("#result");
    this.ids = form.querySelector("#result-ids");
    this.events = form.querySelector("#pushed-events");
    this.blank = this.events.firstElementChild.cloneNode(true);
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.send();
    });
    form.addEventListener("reset", () => {
      for (const extra of [...this.events.children].slice(1)) extra.remove();
      queueMicrotask(() => this.changed());
    });
    form.addEventListener("input", () => {
      this.changed();
      if (this.result.dataset.kind === "bad") this.show("", "");
    });
    this.events.addEventListener("keydown", (e) => {
      if (e.target.name === "data" && e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
        e.preventDefault();
        form.requestSubmit();
      }
    });
    this.events.addEventListener("click", (e) => {
      if (e.target.dataset.part === "remove") this.remove(e.target.closest(".event"));
    });
    form.querySelector("#one-more").addEventListener("click", () => this.add());
    this.changed();
  }

  add() {
    if (this.events.children.length >= EVENTS) return;
    const one = this.blank.cloneNode(true);
    this.events.append(one);
    this.changed();
    one.querySelector("[name=data]").focus();
  }

  remove(one) {
    const next = one.nextElementSibling || one.previousElementSibling;
    one.remove();
    this.changed();
    next.querySelector("[name=data]").focus();
  }

  // body is the request; fields left empty are left out.
  body() {
    const events = [...this.events.children].map((one) => {
      const value = (name) => one.querySelector(`[name=${name}]`).value;
      const ephemeral = one.querySelector("[name=ephemeral]").checked || undefined;
      return { event: value("event").trim() || undefined, topic: value("topic").trim() || undefined, key: value("key").trim() || undefined, ephemeral, data: value("data") };
    });
    return { uids: list(this.form.elements.uids.value), events };
  }

  changed() {
    this.form.querySelector("#curl").textContent = pushCommand(this.body());
    const all = [...this.events.children];
    all.forEach((one, i) => {
      put(one.querySelector("legend"), all.length > 1 ? `Event ${i + 1}` : "Event");
      one.querySelector('[data-part="remove"]').hidden = all.length === 1;
      const wrong = jsonFault(one.querySelector("[name=data]").value);
      const check = one.querySelector('[data-part="check"]');
      check.dataset.kind = wrong ? "bad" : "";
      put(check, wrong);
    });
    this.form.querySelector("#one-more").disabled = all.length >= EVENTS;
  }

  async send() {
    const push = { body: this.body(), sent: performance.now(), ids: [], said: "" };
    this.current = push;
    this.arrivals.clear();
    this.ids.replaceChildren();
    this.say(push, "", "sending");
    const slow = setTimeout(() => {
      this.say(push, "", "waiting: the hub has not answered yet, or the browser has no free connection to it (close other tabs of it)");
    }, SLOW);
    try {
      const answer = await fetch(hub("/push"), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(push.body),
        signal: AbortSignal.timeout(GIVE_UP),
      });
      const text = await answer.text();
      if (answer.ok) this.accepted(push, JSON.parse(text).ids.map(String));
      else this.say(push, "bad", `refused (${answer.status}): ${sentence(text)}`);
    } catch (err) {
      const why = err.name === "TimeoutError" ? `no answer for ${GIVE_UP / 1000} s` : "no answer from the hub";
      this.say(push, "bad", `${why}: whether the events were published is not known`);
      push.unanswered = true;
    } finally {
      clearTimeout(slow);
      push.answered = true;
    }
  }

  accepted(push, ids) {
    push.ids = ids;
    const { uids, events } = push.body;
    const first = ids.length > 1 ? `${ids.length} events` : ids[0] ? `ID ${ids[0]}` : "ephemeral, without an ID";
    push.said = `${first}, acknowledged after ${(performance.now() - push.sent).toFixed(1)} ms`;
    ids.forEach((id, i) => id && this.on.pushed({ id, topic: events[i].topic, users: uids }));
    this.list(push);
    const at = ids.findLastIndex((id, i) => id && !this.on.whyNot(uids, events[i]));
    push.waits = at < 0 ? "" : ids[at];
    if (!push.waits) {
      const why = ids.some(Boolean) ? this.on.whyNot(uids, events[ids.findIndex(Boolean)]) : "";
      this.say(push, "good", push.said + (why && "; " + why));
    } else if (this.arrivals.has(push.waits)) {
      this.arrived(push, this.arrivals.get(push.waits));
    } else {
      this.wait(push);
    }
  }

  // wait says that the event is not here yet, and after a while that it should be; not while the stream is cut.
  wait(push) {
    const cut = this.on.cut();
    this.say(push, "good", push.said + (cut && "; " + cut));
    push.timer = setTimeout(() => {
      if (push !== this.current) return;
      if (cut || this.on.cut()) this.wait(push); // where it has gone on, the event's time begins now
      else this.say(push, "bad", `${push.said}, but it has not come back to this page`);
    }, PATIENCE);
  }

  // list writes one line for each event: its ID, and how many connections it is for.
  async list(push) {
    if (push !== this.current) return;
    const { uids, events } = push.body;
    const lines = push.ids.map((id) => make("li", {}, id || "ephemeral, without an ID"));
    this.ids.replaceChildren(...lines);
    if (!this.on.reach()) return;
    const found = new Map(); // events of one topic reach the same connections
    for (const [i, line] of lines.entries()) {
      const topic = events[i].topic || "";
      if (!found.has(topic)) found.set(topic, await ask("/audience", { user: uids, topic }).catch(() => null));
      const reached = found.get(topic)?.connections;
      if (reached !== undefined) line.append(`, for ${reached} ${reached === 1 ? "connection" : "connections"} at present`);
    }
  }

  arrived(push, at) {
    push.came = true;
    clearTimeout(push.timer);
    this.say(push, "good", `${push.said}, here after ${(at - push.sent).toFixed(1)} ms`);
  }

  // received is told of every event's ID.
  received(id) {
    const push = this.current;
    if (!push) return;
    if (push.answered) {
      if (push.waits === id && !push.came) this.arrived(push, performance.now());
      return;
    }
    this.arrivals.set(id, performance.now());
    if (this.arrivals.size > ARRIVALS) this.arrivals.delete(this.arrivals.keys().next().value);
  }

  // hubIsBack takes back what was true only while the hub was away.
  hubIsBack() {
    if (this.current?.unanswered) this.say(this.current, "", "");
  }

  // say shows what became of a push, unless a newer one was sent since.
  say(push, kind, text) {
    if (push === this.current) this.show(kind, text);
  }

  show(kind, text) {
    this.result.dataset.kind = kind;
    this.result.textContent = text;
  }
}

// jsonFault says what is wrong with what looks like a JSON object or array, or "".
function jsonFault(text) {
  if (!/^\s*[[{]/.test(text)) return "";
  try {
    JSON.parse(text);
    return "";
  } catch (err) {
    return `This is no JSON (${err.message}); it is sent as text.`;
  }
}

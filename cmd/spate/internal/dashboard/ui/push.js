// The form that pushes an event, and says what became of it.

import { sentence } from "./feed.js";

const PATIENCE = 3000;  // ms in which an event should have come back to this page
const SLOW = 2000;      // ms without an answer after which the form says so
const GIVE_UP = 20_000; // ms; the hub's own limit is 10 s
const ARRIVALS = 50_000; // IDs remembered while a push has no answer yet

export class PushForm {
  // on: whyNot(body) tells why this page's stream would not get an event, as a sentence, or ""; pushed(event) is told of
  // what was acknowledged.
  constructor(form, on) {
    this.form = form;
    this.on = on;
    this.arrivals = new Map(); // ID -> when it came: an event may be here before the answer to its push is
    this.current = null;       // the newest push: what older ones still have to say is not shown
    this.result = form.querySelector("#result");
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.send();
    });
    form.addEventListener("input", () => {
      this.showCurl();
      if (this.result.dataset.kind === "bad") this.show("", "");
    });
    form.elements.data.addEventListener("keydown", (e) => {
      if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
        e.preventDefault();
        form.requestSubmit();
      }
    });
    this.showCurl();
  }

  // body is the request; fields left empty are left out.
  body() {
    const { data, event, topic, uids } = this.form.elements;
    const one = { event: event.value.trim() || undefined, topic: topic.value.trim() || undefined, data: data.value };
    return { uids: list(uids.value), events: [one] };
  }

  showCurl() {
    const body = JSON.stringify(this.body()).replaceAll("'", "'\\''");
    this.form.querySelector("#curl").textContent =
      `curl -H 'Content-Type: application/json' \\\n  -d '${body}' \\\n  ${location.origin}/push`;
  }

  async send() {
    const push = { body: this.body(), sent: performance.now(), id: "", said: "" };
    this.current = push;
    this.arrivals.clear();
    this.say(push, "", "sending");
    const slow = setTimeout(() => {
      this.say(push, "", "waiting: the hub has not answered yet, or the browser has no free connection to it (close other tabs of it)");
    }, SLOW);
    try {
      const answer = await fetch("/push", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(push.body),
        signal: AbortSignal.timeout(GIVE_UP),
      });
      const text = await answer.text();
      if (answer.ok) this.accepted(push, String(JSON.parse(text).ids[0]));
      else this.say(push, "bad", `refused (${answer.status}): ${sentence(text)}`);
    } catch (err) {
      const why = err.name === "TimeoutError" ? `no answer for ${GIVE_UP / 1000} s` : "no answer from the hub";
      this.say(push, "bad", `${why}: whether the event was published is not known`);
      push.unanswered = true;
    } finally {
      clearTimeout(slow);
      push.answered = true;
    }
  }

  accepted(push, id) {
    push.id = id;
    push.said = `ID ${id}, acknowledged after ${(performance.now() - push.sent).toFixed(1)} ms`;
    const { uids, events: [event] } = push.body;
    this.on.pushed({ id, topic: event.topic, users: uids });
    const why = this.on.whyNot(push.body);
    if (why) {
      this.say(push, "good", `${push.said}; ${why}`);
    } else if (this.arrivals.has(id)) {
      this.arrived(push, this.arrivals.get(id));
    } else {
      this.say(push, "good", push.said);
      push.timer = setTimeout(() => this.say(push, "bad", `${push.said}, but it has not come back to this page`), PATIENCE);
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
      if (push.id === id && !push.came) this.arrived(push, performance.now());
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

// list splits at commas; an empty field is undefined: everyone.
export function list(text) {
  const names = text.split(",").map((s) => s.trim()).filter(Boolean);
  return names.length ? names : undefined;
}

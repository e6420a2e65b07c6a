// The form that pushes an event, and says what became of it.

const PATIENCE = 3000; // ms in which an event should have come back to this page

export class PushForm {
  // follows tells whether this page's stream would get an event, as a sentence why not, or "".
  constructor(form, stream, follows) {
    this.form = form;
    this.stream = stream;
    this.follows = follows;
    this.waiting = new Map(); // ID -> when it was sent
    this.result = form.querySelector("#result");
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.send();
    });
    form.addEventListener("input", () => {
      this.showCurl();
      if (this.result.dataset.kind === "bad") this.say("", "");
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
    const body = this.body();
    this.stream.listen(body.events[0].event);
    const button = this.form.querySelector("button");
    button.disabled = true;
    const sent = performance.now();
    try {
      const answer = await fetch("/push", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      const text = await answer.text();
      if (!answer.ok) {
        this.say("bad", `refused (${answer.status}): ${message(text)}`);
        return;
      }
      this.accepted(String(JSON.parse(text).ids[0]), sent, this.follows(body));
    } catch (err) {
      this.say("bad", "not sent: " + err.message);
    } finally {
      button.disabled = false;
    }
  }

  accepted(id, sent, why) {
    const took = (performance.now() - sent).toFixed(1);
    this.said = `ID ${id}, acknowledged after ${took} ms`;
    if (why) {
      this.say("good", `${this.said}; ${why}`);
      return;
    }
    const came = this.waiting.get(id);
    this.waiting.clear();
    if (came !== undefined) {
      this.say("good", `${this.said}, here after ${(came - sent).toFixed(1)} ms`);
      return;
    }
    this.awaited = { id, sent };
    this.say("good", this.said);
    setTimeout(() => {
      if (this.awaited?.id === id) this.say("bad", `${this.said}, but it has not come back to this page`);
    }, PATIENCE);
  }

  // received is told of every event: the pushed one may come before the answer to the push does.
  received(id) {
    if (this.awaited?.id === id) {
      this.say("good", `${this.said}, here after ${(performance.now() - this.awaited.sent).toFixed(1)} ms`);
      this.awaited = null;
      return;
    }
    this.waiting.set(id, performance.now());
    if (this.waiting.size > 100) this.waiting.delete(this.waiting.keys().next().value);
  }

  say(kind, text) {
    this.result.dataset.kind = kind;
    this.result.textContent = text;
  }
}

// list splits at commas; an empty field is undefined: everyone.
export function list(text) {
  const names = text.split(",").map((s) => s.trim()).filter(Boolean);
  return names.length ? names : undefined;
}

// message picks the sentence out of a JSON error, or shows what there is.
function message(text) {
  try {
    const body = JSON.parse(text);
    return (body.field ? body.field + ": " : "") + (body.detail || body.title || text);
  } catch {
    return text.slice(0, 200);
  }
}

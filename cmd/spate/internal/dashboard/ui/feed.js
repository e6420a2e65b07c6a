// One stream of the hub, read by fetch, that comes back after whatever cut it and goes on after the last ID.

import { hub } from "./at.js";
import { compare } from "./ids.js";
import { Recent } from "./recent.js";
import { Parser } from "./sse.js";

const RETRY = 1000;       // ms before the first new try, until the hub says otherwise by `retry:`
const RETRY_CAP = 10_000; // ms up to which the time between tries doubles
const RETRY_LEAST = 250;  // ms; a hub that ends each stream at once must not be asked without pause
const WAIT_MAX = 86_400_000;
const SLOW = 3000;        // ms without an answer after which the page says so
const SILENCE = 60_000;   // ms without a byte after which a stream counts as dead; the hub's heartbeat comes sooner

// An Outcome is why an attempt ended. wait is the least time in ms before the next; final: there is no next.
class Outcome extends Error {
  constructor(why, { wait = 0, final = false } = {}) {
    super(why);
    this.wait = wait;
    this.final = final;
  }
}

export class Feed {
  // on: items(list) with what came in one piece, state(object).
  constructor({ uid, topics }, on) {
    this.query = new URLSearchParams();
    if (uid) this.query.set("uid", uid);
    for (const topic of topics) this.query.append("topic", topic);
    this.on = on;
    this.retry = RETRY;
    this.tries = 0;      // since the stream was last live
    this.awayFrom = 0;   // when it was cut
    this.state = { state: "connecting" };
    this.batch = [];
    this.wake = null;    // ends the pause between two tries
    this.abort = null;   // ends the attempt
    this.stopped = false;
    this.recent = new Recent("");
    this.last = "";
  }

  // start reads on after the ID, or from now on where it is "". What was read before is forgotten.
  start(after) {
    this.last = after;
    this.recent.reset(after);
    this.tries = 0;
    this.turn = {};
    this.abort?.abort();
    this.wake?.();
    this.run(this.turn);
  }

  stop() {
    this.stopped = true;
    this.turn = null;
    this.abort?.abort();
    this.wake?.();
  }

  // tryNow ends the pause; a stream that was refused is asked for again.
  tryNow() {
    if (this.wake) this.wake();
    else if (this.state.state === "refused") this.start(this.last);
  }

  async run(turn) {
    while (this.turn === turn) {
      if (this.tries === 0) this.to({ state: "connecting" });
      const end = await this.attempt().catch((err) => (err instanceof Outcome ? err : new Outcome(plain(err))));
      this.flush();
      if (this.turn !== turn) return;
      this.awayFrom ||= Date.now();
      if (end.final) {
        this.to({ state: "refused", why: end.message });
        return;
      }
      const wait = this.pause(end.wait);
      this.tries++;
      this.to({ state: "reconnecting", why: end.message, next: Date.now() + wait });
      await new Promise((done) => {
        this.wake = done;
        setTimeout(done, wait);
      });
      this.wake = null;
    }
  }

  // pause is how long to wait before the next try: never less than the hub asked for, and some more, so that not all
  // browsers come at once.
  pause(asked) {
    const doubled = Math.min(this.retry * 2 ** this.tries, RETRY_CAP);
    return Math.min(Math.max(this.retry, asked, doubled) * (1 + Math.random() / 5), WAIT_MAX);
  }

  // attempt reads one answer of the hub to its end, and throws why it ended.
  async attempt() {
    const abort = new AbortController();
    this.abort = abort;
    const slow = setTimeout(() => this.to({ ...this.state, slow: true }), SLOW);
    let silence = 0;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(new Outcome(`nothing came for ${SILENCE / 1000} s`)), SILENCE);
    };
    heard();
    try {
      const query = new URLSearchParams(this.query);
      if (this.last) query.set("last_event_id", this.last);
      const answer = await fetch(hub("/events?") + query, { cache: "no-store", signal: abort.signal, headers: { Accept: "text/event-stream" } });
      clearTimeout(slow);
      await check(answer);
      this.tries = 0;
      this.awayFrom = 0;
      this.to({ state: "live" });
      return await this.read(answer.body, heard, abort.signal);
    } catch (err) {
      throw abort.signal.aborted ? abort.signal.reason : err;
    } finally {
      clearTimeout(slow);
      clearTimeout(silence);
      abort.abort(); // whatever is left of the answer
    }
  }

  async read(body, heard, signal) {
    let end = new Outcome("the stream ended");
    const parser = new Parser({
      event: (e) => {
        if (e.type === "gap") this.gap(e);
        else if (e.type === "disconnect") end = new Outcome(`the hub ended the stream (${reason(e.data)})`);
        else this.event(e);
      },
      position: (id) => this.moveTo(id),
      retry: (ms) => {
        this.retry = Math.max(ms, RETRY_LEAST);
      },
    });
    const reader = body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw signal.aborted ? signal.reason : new Outcome("the connection broke");
      });
      if (done) throw end;
      if (signal.aborted) throw signal.reason;
      heard();
      parser.push(decoder.decode(value, { stream: true }));
      this.flush();
    }
  }

  event({ id, type, data, cut }) {
    const item = { kind: "event", id, type, data, cut, at: Date.now() };
    if (id) {
      item.fault = this.last !== "" && compare(id, this.last) <= 0; // twice, or late
      if (!item.fault) this.last = id;
    }
    this.recent.add(item);
    this.batch.push(item);
  }

  // gap: what comes after `to` follows in full, so that is where the stream stands, be it before the last ID: the hub
  // may not know that one.
  gap({ data }) {
    const said = object(data);
    const [from, to] = [String(said.from ?? "?"), String(said.to ?? "?")];
    if (/^\d+$/.test(to)) {
      this.last = to;
      this.recent.reset(to);
    }
    this.batch.push({ kind: "gap", from, to, at: Date.now() });
  }

  moveTo(id) {
    if (this.last === "" || compare(id, this.last) > 0) {
      if (this.last === "") this.recent.reset(id);
      this.last = id;
    }
  }

  flush() {
    if (this.batch.length === 0) return;
    const list = this.batch;
    this.batch = [];
    this.on.items(list);
  }

  to(state) {
    this.state = { ...state, since: this.awayFrom };
    this.on.state(this.state);
  }
}

// check throws what is no stream. An answer that says that the request is wrong would be the same next time.
async function check(answer) {
  if (answer.status === 204) throw new Outcome("the hub asks not to come back (204)", { final: true });
  if (!answer.ok) {
    const said = `${answer.status}: ${sentence(await answer.text())}`;
    const wait = 1000 * Number(answer.headers.get("Retry-After")) || 0;
    const passing = answer.status >= 500 || answer.status === 408 || answer.status === 429;
    throw new Outcome(said, { wait, final: !passing });
  }
  const type = answer.headers.get("Content-Type") || "no type";
  if (!/^text\/event-stream\s*(;|$)/i.test(type)) throw new Outcome(`an answer of type ${type} instead of a stream`);
}

// sentence picks the message out of a JSON error, or shows what there is.
export function sentence(text) {
  const { title, detail = title, field } = object(text);
  return typeof detail === "string" ? (field ? field + ": " : "") + detail : text.trim().slice(0, 200) || "no reason given";
}

// object is the JSON object that a text is, or an empty one.
export function object(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

function reason(data) {
  return String(object(data).reason ?? "no reason given");
}

// plain is a network error in words; browsers' own differ and say little.
function plain(err) {
  return err instanceof TypeError ? "no connection" : String(err?.message || err);
}

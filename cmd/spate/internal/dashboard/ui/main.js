// The page: puts the stream, the charts, the form and the list together.

import { Audience } from "./audience.js";
import { Chart, Clock } from "./charts.js";
import { controls, palette } from "./controls.js";
import { Detail } from "./detail.js";
import { compare, minus } from "./ids.js";
import { Log } from "./log.js";
import { Notice } from "./notice.js";
import { list, PushForm } from "./push.js";
import { chartsOf, specs } from "./specs.js";
import { Stream } from "./stream.js";
import { Tiles } from "./tiles.js";

const BACKFILL = 1500; // how many IDs before the newest the page starts at, so that charts are not empty
const FRAME = 100;     // ms between two drawings at least

const $ = (id) => document.getElementById(id);
const clock = new Clock();
const audience = new Audience();
const charts = {};
let info = null; // what /stats said last
let statsWhy = "";
let position = "0"; // the hub's newest ID when the page began
let started = 0;
let before = null; // the figures of the look before

const stream = new Stream(document.documentElement.dataset.build, {
  event: onEvent, gap: onGap, skipped: onSkipped, state: onState, stats: onStats, pushed: (p) => audience.learn(p),
});
const tiles = new Tiles($("tiles"), stream);
const detail = new Detail($("detail"));
const audienceOf = (row) => (row.kind === "event" ? audience.of(row) : { topic: "–", users: "–" });
const log = new Log({ body: $("log"), empty: $("empty"), held: $("held") }, {
  audience: audienceOf,
  open: (row) => detail.show(row, audienceOf(row)),
});
const push = new PushForm($("push"), { whyNot: whyNotHere, pushed: (p) => stream.tell(p) });
const notice = new Notice({ pill: $("state"), line: $("notice"), why: $("why"), next: $("next"), again: $("again") }, () => stream.again());
const look = controls({ log, follow });

// What a test, or a curious user at the console, may look at.
window.spate = stream;

function onEvent(event) {
  if (!event.id || compare(event.id, position) > 0) tiles.arrived();
  if (event.id) push.received(event.id);
  log.add({ ...event, subscription: stream.subscription }, measured(event));
}

// measured draws an event of the demo feed, and reports whether it is one: somebody may push other things under a
// measurement's type.
function measured({ type, data }) {
  if (!info.topics.includes(type)) return false;
  try {
    return drawn(type, JSON.parse(data));
  } catch {
    return false;
  }
}

function drawn(topic, d) {
  if (typeof d?.t !== "number") return false;
  clock.saw(d.t);
  if (topic === "hub") sawStart(d.started);
  for (const name of chartsOf(topic)) charts[name]?.push(d.t, d, specs[name].note(d));
  return true;
}

function sawStart(t) {
  if (started && t !== started) {
    tiles.restarts++;
    clock.marks.push(t);
  }
  started = t;
}

function onGap({ from, to }) {
  log.add({ kind: "gap", id: "", type: "gap", data: `events after ${from} up to ${to} may be missing`, at: Date.now() }, false);
}

function onSkipped(count) {
  log.add({ kind: "gap", id: "", type: "skipped", data: `this tab was too slow for ${count} events, which it passed over`, at: Date.now() }, false);
}

function onState(state) {
  notice.show(state, statsWhy);
  if (state.state === "live") push.hubIsBack();
}

function whyNotHere(body) {
  const { uid, topics } = stream.subscription ?? { uid: "", topics: [] };
  const [event] = body.events;
  if (stream.state !== "live") return "this page has no stream at present"; // it may come later
  if (body.uids && !body.uids.includes(uid)) return "this page is none of those users";
  if (event.topic && !topics.includes(event.topic)) return `this page does not follow topic ${event.topic}`;
  return "";
}

// onStats takes a look at the hub, or why there was none. The first one begins the stream; a later one may be of another
// hub at the same address.
function onStats(stats, why) {
  statsWhy = stats ? "" : why;
  const first = info === null;
  if (stats) {
    if (first || stats.demo !== info.demo) buildCharts(stats.demo);
    info = stats;
    $("version").textContent = stats.version;
    if (!stats.demo) drawFigures(stats);
  }
  if (stats && first) {
    position = stats.position;
    $("follow").elements.topics.value = stats.topics.join(", ");
    stream.open({ uid: "", topics: stats.topics }, backfill(stats));
  } else {
    notice.show(first ? { state: "reconnecting", why } : notice.state, statsWhy);
  }
}

function buildCharts(demo) {
  for (const name of Object.keys(charts)) {
    charts[name].remove();
    delete charts[name];
  }
  for (const name of demo ? Object.keys(specs) : chartsOf("hub")) charts[name] = new Chart($("charts"), specs[name], clock);
}

// drawFigures draws the hub's figures from /stats where there is no demo feed.
function drawFigures(s) {
  const t = Date.parse(s.time);
  const span = before ? (t - before.t) / 1000 : 0;
  const rate = (now, then) => (span > 0 ? Math.max(now - then, 0) / span : 0);
  drawn("hub", {
    t, started: Date.parse(s.started), clients: s.hub.clients,
    eventRate: rate(s.hub.events, before?.events), deliverRate: rate(s.hub.delivered, before?.delivered),
    resident: s.process.resident_bytes, goroutines: s.process.goroutines, files: s.process.open_files,
  });
  before = { t, events: s.hub.events, delivered: s.hub.delivered };
}

// backfill is the ID to start after: a little before the newest, so that the charts begin with the last minute, and
// never before the log's first. Without history the page starts live.
function backfill({ demo, log: kept }) {
  if (!demo || !kept?.sync || kept.first === "0") return ""; // an unsynced log may skip IDs at a restart
  const from = minus(kept.last, BACKFILL);
  return compare(from, kept.first) > 0 ? from : kept.first;
}

function follow(uid, topics) {
  stream.open({ uid: uid.trim(), topics: list(topics) || [] });
}

let last = 0;
function frame(now) {
  requestAnimationFrame(frame);
  if (now - last < FRAME) return;
  last = now;
  const colors = palette();
  for (const chart of Object.values(charts)) chart.draw(colors, look.seconds);
  tiles.draw();
  notice.tick();
  log.draw();
}
requestAnimationFrame(frame);

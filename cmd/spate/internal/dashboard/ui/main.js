// The page: puts the stream and the views together.

import { ask } from "./api.js";
import { Audience } from "./audience.js";
import { Cluster } from "./cluster.js";
import { Connections } from "./connections.js";
import { controls, palette } from "./controls.js";
import { Detail } from "./detail.js";
import { History } from "./history.js";
import { compare, minus } from "./ids.js";
import { Log } from "./log.js";
import { Machine } from "./machine.js";
import { list } from "./names.js";
import { Notice } from "./notice.js";
import { Overview } from "./overview.js";
import { matches } from "./pattern.js";
import { PushForm } from "./push.js";
import { Settings } from "./settings.js";
import { Stream } from "./stream.js";
import { Tiles } from "./tiles.js";
import { TopicNames } from "./topicnames.js";
import { Topics } from "./topics.js";
import { Views } from "./views.js";

const BACKFILL = 1500; // how many IDs before the newest the page starts at, so that charts are not empty
const PREFILL = 200;   // events of the past that the list begins with where there are no charts
const FOLLOWED = 64;   // patterns that a stream may follow
const FRAME = 100;     // ms between two drawings at least
const AGAIN = 3000;    // ms after which the hub is asked again what the reader may do

const $ = (id) => document.getElementById(id);
const section = (name) => document.querySelector(`[data-view="${name}"]`);
const audience = new Audience();
let grant = null; // what the reader may do
let info = null; // what /stats said last
let statsWhy = "";
let position = "0"; // the hub's newest ID when the page began

const stream = new Stream(document.documentElement.dataset.build, {
  event: onEvent, gap: onGap, skipped: onSkipped, state: onState, stats: onStats, pushed: (p) => audience.learn(p),
});
const tiles = new Tiles($("tiles"), stream);
const machine = new Machine($("charts"), { restarted: () => tiles.restarts++ });
const detail = new Detail($("detail"));
const audienceOf = (row) => (row.kind === "event" ? audience.of(row) : { topic: "–", users: "–" });
const log = new Log({ body: $("log"), empty: $("empty"), held: $("held") }, {
  audience: audienceOf,
  isFor: (row, user) => audience.isFor(row.id, user),
  self: () => stream.subscription?.uid ?? "",
  filtered: () => names.anew(),
  open: (row) => detail.show(row, audienceOf(row)),
});
const names = new TopicNames((event) => {
  audience.learnPast(event);
  log.dirty = true;
});
const push = new PushForm($("push"), { whyNot: whyNotHere, cut: () => (stream.state === "live" ? "" : "this page has no stream at present"), pushed: (p) => stream.tell(p), reach: () => grant?.admin });
const notice = new Notice({ pill: $("state"), line: $("notice"), why: $("why"), next: $("next"), again: $("again") }, () => stream.again());
const look = controls({ log, follow });
const overview = new Overview({ stats: (s) => cluster.draw(s) });
const cluster = new Cluster(section("cluster"));
const views = new Views($("views"), {
  overview, machine, cluster,
  connections: new Connections(section("connections")),
  history: new History(section("history"), { topics: followed, open: openKept }),
  topics: new Topics(section("topics")),
  settings: new Settings(section("settings")),
});

// What a test, or a curious user at the console, may look at.
window.spate = stream;

begin();

// begin asks what the reader may do, until the hub says it, and offers no more than that.
async function begin() {
  try {
    grant = await ask("/grant");
  } catch (err) {
    notice.show({ state: err.status < 500 ? "refused" : "reconnecting", why: err.message }, "");
    setTimeout(begin, AGAIN);
    return;
  }
  allow();
  start();
}

function allow() {
  const has = new Set();
  const { push: { topics, users, any_user: anyUser, everyone }, admin } = grant;
  if (admin) has.add("admin");
  if (topics.length || users.length || anyUser || everyone) has.add("push");
  if (info?.cluster) has.add("cluster");
  if (info?.demo) has.add("demo");
  audience.tellsUsers = admin;
  $("filter-user").hidden = !admin;
  views.allow(has);
  $("links").hidden = !admin;
}

// followed are the topics that the reader may follow.
function followed() {
  return grant.read.slice(0, FOLLOWED);
}

// start begins the stream once it is known what the reader may follow and what hub it is.
function start() {
  if (!grant || !info || stream.subscription || start.begun) return;
  start.begun = true;
  position = info.position;
  const uid = (!grant.open && grant.user) || ""; // a proxy that says who somebody is lets nobody say so besides
  const topics = followed();
  $("follow").elements.topics.value = topics.join(", ");
  $("follow").elements.uid.value = uid;
  if (info.demo) stream.open({ uid, topics }, backfill(info));
  else prefill({ uid, topics });
}

// prefill begins the list with what history has, and goes on from there.
async function prefill(subscription) {
  try {
    const few = info.log && info.log.records <= PREFILL;
    const page = await ask("/history", { after: few || position === "0" ? "earliest" : minus(position, PREFILL), limit: PREFILL, topic: subscription.topics, uid: subscription.uid });
    for (const e of page.events) {
      audience.learnPast(e);
      log.add({ kind: "event", id: e.id, type: e.event || "message", data: text(e.data), cut: 0, at: Date.parse(e.time), kept: true, subscription }, false);
    }
    if (page.events.length > 0) stream.lastId = page.next;
  } catch {
    // No history: the list begins with what comes.
  }
  stream.open(subscription, stream.lastId);
}

function text(data) {
  return typeof data === "string" ? data : JSON.stringify(data);
}

// openKept shows an event of the past whole.
function openKept(event) {
  const { id, event: type, data, time } = event;
  detail.show({ kind: "event", id, type: type || "message", data, cut: 0, at: Date.parse(time), kept: true }, audience.ofPast(event));
}

function onEvent(event) {
  if (!event.id || compare(event.id, position) > 0) tiles.arrived();
  if (event.id) push.received(event.id);
  log.add({ ...event, subscription: stream.subscription }, machine.take(event));
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

function whyNotHere(uids, event) {
  const { uid, topics } = stream.subscription ?? { uid: "", topics: [] };
  if (uids && !uids.includes(uid)) return "this page is none of those users";
  if (event.topic && !topics.some((t) => matches(t, event.topic))) return `this page does not follow topic ${event.topic}`;
  return "";
}

// onStats takes a look at the hub, or why there was none. The first one begins the stream; a later one may be of another
// hub at the same address.
function onStats(stats, why, forbidden) {
  statsWhy = stats || forbidden ? "" : why;
  if (stats || forbidden) {
    info = stats || { topics: [], demo: false, position: "0" };
    machine.of(info);
    if (stats) {
      $("version").textContent = stats.version;
      cluster.draw(stats);
    }
    if (grant) allow();
    start();
  }
  notice.show(info ? notice.state : { state: "reconnecting", why }, statsWhy);
}

// backfill is the ID to start after: a little before the newest, so that the charts begin with the last minute, and
// never before the log's first. Without history the page starts live.
function backfill({ log: kept }) {
  if (!kept?.sync || kept.first === "0") return ""; // an unsynced log may skip IDs at a restart
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
  machine.draw(colors, look.seconds);
  overview.draw(colors, now);
  tiles.draw();
  notice.tick();
  log.draw();
  if (views.current === "live" && stream.subscription) names.look(log.unknown((id) => audience.knows(id)), stream.subscription, now);
}
requestAnimationFrame(frame);

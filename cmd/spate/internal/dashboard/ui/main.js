// The page: puts the stream, the charts, the form and the list together.

import { Chart, Clock } from "./charts.js";
import { count } from "./format.js";
import { compare, minus } from "./ids.js";
import { Log } from "./log.js";
import { list, PushForm } from "./push.js";
import { chartsOf, specs } from "./specs.js";
import { Stream } from "./stream.js";

const BACKFILL = 1500;   // how many IDs before the newest the page starts at, so that charts are not empty
const POLL = 1000;       // ms between two looks at /stats where no demo feed tells the hub's figures
const RATE_SPAN = 5000;  // ms over which events a second are taken

const $ = (id) => document.getElementById(id);
const clock = new Clock();
const charts = {};
const arrivals = []; // times of the live events of the last RATE_SPAN
let info = { demo: false, topics: [], position: "0" };
let started = 0;
let restarts = 0;
let seconds = 60;

const stream = new Stream([], { event: onEvent, gap: onGap, state: onState });
const log = new Log($("log"), $("empty"), (type) => info.topics.includes(type));
const push = new PushForm($("push"), stream, whyNotHere);

// What a test, or a curious user at the console, may look at.
window.spate = stream;

function onEvent({ id, type, data }) {
  if (!id || compare(id, info.position) > 0) arrivals.push(Date.now());
  push.received(id);
  log.add("event", id, type, data);
  if (!info.topics.includes(type)) return;
  try {
    measured(type, JSON.parse(data));
  } catch {
    // Somebody pushed text under a measurement's type; it is in the list.
  }
}

function measured(topic, d) {
  if (typeof d?.t !== "number") return;
  clock.saw(d.t);
  if (topic === "hub") sawStart(d.started);
  for (const name of chartsOf(topic)) charts[name]?.push(d.t, d, specs[name].note(d));
}

function sawStart(t) {
  if (started && t !== started) {
    restarts++;
    clock.marks.push(t);
  }
  started = t;
}

function onGap({ from, to }) {
  log.add("gap", "", "gap", `events after ${from} up to ${to} may be missing`);
}

function onState(state) {
  $("state").dataset.state = state;
  $("state").querySelector("b").textContent = state;
  document.title = (state === "live" ? "" : "(" + state + ") ") + "spate";
}

function whyNotHere(body) {
  const { uid, topics } = stream.subscription;
  const [event] = body.events;
  if (body.uids && !body.uids.includes(uid)) return "this page is none of those users";
  if (event.topic && !topics.includes(event.topic)) return `this page does not follow topic ${event.topic}`;
  return "";
}

function tiles() {
  const now = Date.now();
  while (arrivals.length && arrivals[0] < now - RATE_SPAN) arrivals.shift();
  $("last-id").textContent = stream.lastId || "–";
  $("events").textContent = count(stream.events);
  $("rate").textContent = count(arrivals.length / (RATE_SPAN / 1000));
  $("resumes").textContent = count(stream.resumes);
  $("restarts").textContent = count(restarts);
  for (const [id, n] of [["gaps", stream.gaps.length], ["faults", stream.faults]]) {
    $(id).textContent = count(n);
    $(id).parentElement.classList.toggle("bad", n > 0);
  }
}

// palette reads the theme's colours from the style sheet.
function palette() {
  const style = getComputedStyle(document.documentElement);
  const p = { font: "11px " + style.getPropertyValue("--mono") };
  for (const name of ["text", "muted", "grid", "away", "teal", "blue", "amber", "pink", "red"]) {
    p[name] = style.getPropertyValue("--" + name).trim();
  }
  return p;
}

let colors = palette();
let drawn = 0;
function frame(now) {
  requestAnimationFrame(frame);
  if (now - drawn < 50) return;
  drawn = now;
  for (const chart of Object.values(charts)) chart.draw(colors, seconds);
  tiles();
  log.draw();
}

function buildCharts(names) {
  for (const name of names) charts[name] = new Chart($("charts"), specs[name], clock);
}

// poll draws the hub's figures from /stats where there is no demo feed.
async function poll(last) {
  try {
    const s = await (await fetch("/stats")).json();
    const t = Date.parse(s.time);
    const span = last ? (t - last.t) / 1000 : 0;
    const rate = (now, before) => (span > 0 ? Math.max(now - before, 0) / span : 0);
    const d = {
      t, started: Date.parse(s.started), clients: s.hub.clients,
      eventRate: rate(s.hub.events, last?.events), deliverRate: rate(s.hub.delivered, last?.delivered),
      resident: s.process.resident_bytes, goroutines: s.process.goroutines, files: s.process.open_files,
    };
    measured("hub", d);
    last = { t, events: s.hub.events, delivered: s.hub.delivered };
  } catch {
    last = null; // the hub is away: the chart shows it
  }
  setTimeout(() => poll(last), POLL);
}

function segments(attribute, choose) {
  const buttons = [...document.querySelectorAll(`[data-${attribute}]`)];
  for (const b of buttons) {
    b.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === b));
      choose(b.dataset[attribute]);
    });
  }
}

function controls() {
  segments("window", (s) => {
    seconds = Number(s);
  });
  segments("show", (show) => log.filter(show));
  $("pause").addEventListener("click", () => {
    log.pause(!log.paused);
    $("pause").setAttribute("aria-pressed", String(log.paused));
    $("pause").textContent = log.paused ? "Go on" : "Pause";
  });
  $("theme").addEventListener("click", () => {
    const root = document.documentElement.dataset;
    const now = root.theme || (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
    root.theme = now === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.theme);
    colors = palette();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colors = palette();
  });
  $("follow").addEventListener("submit", (e) => {
    e.preventDefault();
    const { uid, topics } = e.target.elements;
    stream.open({ uid: uid.value.trim(), topics: list(topics.value) || [] });
  });
}

// backfill is the ID to start after: a little before the newest, so that the charts begin with the last minute, and
// never before the log's first. Without history the page starts live.
function backfill({ demo, log: kept }) {
  if (!demo || !kept?.sync || kept.first === "0") return ""; // an unsynced log may skip IDs at a restart
  const from = minus(kept.last, BACKFILL);
  return compare(from, kept.first) > 0 ? from : kept.first;
}

async function begin() {
  for (;;) {
    try {
      info = await (await fetch("/stats")).json();
      break;
    } catch {
      onState("reconnecting");
      await new Promise((done) => setTimeout(done, POLL));
    }
  }
  $("version").textContent = info.version;
  if (info.demo) {
    buildCharts(Object.keys(specs));
    for (const topic of info.topics) stream.listen(topic);
  } else {
    buildCharts(chartsOf("hub"));
    poll(null);
  }
  $("follow").elements.topics.value = info.topics.join(", ");
  stream.open({ uid: "", topics: info.topics }, backfill(info));
}

const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
colors = palette();
controls();
requestAnimationFrame(frame);
begin();

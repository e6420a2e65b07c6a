// Line charts over the last minutes, drawn on canvas. Time runs in the measurements' own clock; where nothing was
// measured for longer than AWAY (the hub was down), the line breaks and the span is shaded. A restart of the hub is marked
// by a dashed line.

import { count, time } from "./format.js";

const AWAY = 2000;      // ms without a point that count as a break, unless the spec says otherwise
const KEEP = 300 * 1000; // ms of points kept, the longest window
const GUTTER = 82;      // px left of the plot for its labels, which no line or fill may cover
const STEP = 1000;      // ms that an arrow key moves the pointer

// A Clock tells the measurements' now from the page's: the smallest delay seen is taken as none. It also keeps the times
// that every chart marks.
export class Clock {
  constructor() {
    this.skew = null;
    this.marks = [];
  }
  saw(t) {
    const skew = Date.now() - t;
    if (this.skew === null || skew < this.skew) this.skew = skew;
  }
  now() {
    return Date.now() - (this.skew ?? 0);
  }
}

export class Chart {
  // spec: {title, note, format, max, away, keep, series: [{key, label, color, fill}]}. stack draws each series on top of the last.
  constructor(parent, spec, clock) {
    this.spec = spec;
    this.clock = clock;
    this.away = spec.away || AWAY;
    this.keep = spec.keep || KEEP;
    this.points = []; // {t, v: {key: number}}
    this.hover = null; // the time pointed at, as a share of the window
    this.build(parent);
  }

  build(parent) {
    const card = element("article", "card chart");
    const head = element("header", "row head");
    const title = element("h2");
    title.textContent = this.spec.title;
    this.note = element("span", "muted");
    head.append(title, this.note);
    this.values = {};
    const legend = element("div", "legend");
    for (const s of this.spec.series) {
      const item = element("span", "item");
      const dot = element("i");
      dot.dataset.color = s.color;
      const value = element("b");
      value.textContent = "–";
      this.values[s.key] = value;
      item.append(dot, s.label + " ", value);
      legend.append(item);
    }
    this.canvas = element("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", this.spec.title + " over time; the values stand in the legend, arrow keys choose the moment");
    this.canvas.tabIndex = 0;
    this.listen();
    card.append(head, legend, this.canvas);
    parent.append(card);
    this.card = card;
  }

  // listen lets pointer and arrow keys choose the moment that the legend tells.
  listen() {
    const { canvas } = this;
    const none = () => {
      this.hover = null;
    };
    canvas.addEventListener("pointermove", (e) => {
      this.hover = Math.max((e.offsetX - GUTTER) / (canvas.clientWidth - GUTTER), 0);
    });
    canvas.addEventListener("pointerleave", none);
    canvas.addEventListener("blur", none);
    canvas.addEventListener("keydown", (e) => {
      const step = STEP / 1000 / this.seconds;
      const to = { ArrowLeft: (this.hover ?? 1) - step, ArrowRight: (this.hover ?? 1) + step, Home: 0, End: 1 }[e.key];
      if (e.key === "Escape") none();
      if (to === undefined) return;
      e.preventDefault();
      this.hover = Math.min(Math.max(to, 0), 1);
    });
  }

  push(t, v, note = "") {
    this.points.push({ t, v });
    const old = t - this.keep;
    let n = 0;
    while (this.points[n].t < old) n++;
    if (n > 100) this.points.splice(0, n);
    this.latest = note;
  }

  // remove takes the chart off the page.
  remove() {
    this.card.remove();
  }

  // age marks a chart whose newest point is old: dimmed, and with the time of that point.
  age(right) {
    const last = this.points.at(-1);
    this.stale = last !== undefined && right - last.t > this.away;
    this.card.classList.toggle("stale", this.stale);
    if (this.hover === null) this.tell(this.stale ? `nothing since ${time(last.t)}` : this.latest || "");
  }

  tell(note) {
    if (this.note.textContent !== note) this.note.textContent = note;
  }

  draw(palette, seconds) {
    const right = this.clock.now();
    this.age(right);
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const w = canvas.clientWidth;
    const h = canvas.clientHeight;
    if (!w || !h) return;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
    }
    this.seconds = seconds;
    const c = canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, w, h);
    const left = right - seconds * 1000;
    const shown = this.visible(left);
    const top = this.top(shown);
    const box = { x: GUTTER, y: 7, w: w - GUTTER, h: h - 28 };
    const x = (t) => box.x + ((t - left) / (right - left)) * box.w;
    const y = (v) => box.y + box.h - (Math.min(v, top) / top) * box.h;
    this.grid(c, palette, box, top, y, left, right, x, seconds);
    c.save();
    c.beginPath();
    c.rect(box.x, 0, box.w, box.y + box.h + 1);
    c.clip(); // the point just before the window lies under the labels
    this.breaks(c, palette, box, shown, right, x);
    this.lines(c, palette, shown, x, y);
    this.marks(c, palette, box, left, x);
    c.restore();
    this.labels(c, palette, top, y);
    this.legend(c, palette, box, shown, left, right, x, y);
  }

  // visible is the points in the window and the one just before it.
  visible(left) {
    let i = this.points.findIndex((p) => p.t >= left);
    if (i < 0) return [];
    return this.points.slice(Math.max(i - 1, 0));
  }

  sum(p) {
    return this.spec.series.reduce((sum, s) => sum + (p.v[s.key] || 0), 0);
  }

  // top is the upper end of the scale: fixed, given with the point, or a round number above everything shown.
  top(shown) {
    if (typeof this.spec.max === "number") return this.spec.max;
    if (typeof this.spec.max === "string" && shown.length) return shown[shown.length - 1].v[this.spec.max] || 1;
    let highest = 0;
    for (const p of shown) {
      for (const s of this.spec.series) highest = Math.max(highest, p.v[s.key] || 0);
      if (this.spec.stack) highest = Math.max(highest, this.sum(p));
    }
    return nice(Math.max(highest, this.spec.least || 1), this.spec.base || 10, this.spec.format === count);
  }

  grid(c, palette, box, top, y, left, right, x, seconds) {
    c.lineWidth = 1;
    c.strokeStyle = palette.grid;
    for (const share of [0, 0.5, 1]) {
      const at = Math.round(y(top * share)) + 0.5;
      line(c, box.x, at, box.x + box.w, at);
    }
    c.fillStyle = palette.muted;
    c.font = palette.font;
    c.textBaseline = "bottom";
    c.textAlign = "center";
    const step = (seconds / (box.w < 320 ? 3 : 4)) * 1000;
    for (let t = Math.ceil(left / step) * step; t <= right; t += step) {
      const at = x(t);
      if (at < box.x + 28 || at > box.x + box.w - 28) continue;
      c.fillText(time(t), at, box.y + box.h + 18);
    }
  }

  breaks(c, palette, box, shown, right, x) {
    c.fillStyle = palette.away;
    const shade = (from, to) => c.fillRect(x(from), box.y, x(to) - x(from), box.h);
    for (let i = 1; i < shown.length; i++) {
      if (shown[i].t - shown[i - 1].t > this.away) shade(shown[i - 1].t, shown[i].t);
    }
    if (this.stale) shade(this.points.at(-1).t, right);
  }

  // lines draws the first series last, so that a stacked one of zero does not hide the one below it.
  lines(c, palette, shown, x, y) {
    const bases = [new Array(shown.length).fill(0)];
    for (const s of this.spec.series) {
      const base = bases[bases.length - 1];
      bases.push(this.spec.stack ? base.map((b, i) => b + (shown[i].v[s.key] || 0)) : base);
    }
    for (let n = this.spec.series.length - 1; n >= 0; n--) {
      for (const [from, to] of runs(shown, this.away)) this.line(c, palette, n, bases[n], shown, from, to, x, y);
    }
  }

  line(c, palette, n, base, shown, from, to, x, y) {
    const s = this.spec.series[n];
    const color = palette[this.stale ? "muted" : s.color];
    c.beginPath();
    for (let i = from; i <= to; i++) c.lineTo(x(shown[i].t), y((shown[i].v[s.key] || 0) + base[i]));
    c.strokeStyle = color;
    c.lineWidth = 1.6;
    c.lineJoin = "round";
    c.stroke();
    if (!s.fill && !this.spec.stack) return;
    for (let i = to; i >= from; i--) c.lineTo(x(shown[i].t), y(base[i]));
    c.closePath();
    c.globalAlpha = this.spec.stack ? 0.32 : 0.14;
    c.fillStyle = color;
    c.fill();
    c.globalAlpha = 1;
  }

  marks(c, palette, box, left, x) {
    c.strokeStyle = palette.red;
    c.lineWidth = 1;
    c.setLineDash([3, 3]);
    for (const t of this.clock.marks) {
      if (t >= left) line(c, Math.round(x(t)) + 0.5, box.y, Math.round(x(t)) + 0.5, box.y + box.h);
    }
    c.setLineDash([]);
  }

  labels(c, palette, top, y) {
    c.fillStyle = palette.muted;
    c.font = palette.font;
    c.textAlign = "right";
    c.textBaseline = "middle";
    for (const v of [top, top / 2, 0]) c.fillText(this.spec.format(v), GUTTER - 6, y(v));
  }

  // legend writes the newest values, or those under the pointer, and marks the pointer's place.
  legend(c, palette, box, shown, left, right, x, y) {
    let p = shown[shown.length - 1];
    if (this.hover !== null && shown.length) {
      const t = left + this.hover * (right - left);
      p = shown.reduce((best, q) => (Math.abs(q.t - t) < Math.abs(best.t - t) ? q : best));
      c.strokeStyle = palette.muted;
      c.lineWidth = 1;
      line(c, x(p.t), box.y, x(p.t), box.y + box.h);
      this.moment(c, palette, box, p.t, x(p.t));
      this.tell(`at ${time(p.t)}`);
    }
    for (const s of this.spec.series) {
      const text = p && p.v[s.key] !== null ? (s.format || this.spec.format)(p.v[s.key] || 0) : "–";
      if (this.values[s.key].textContent !== text) this.values[s.key].textContent = text;
    }
  }

  // moment writes the time pointed at, on a plate of its own: there may be a fill below.
  moment(c, palette, box, t, at) {
    const text = time(t);
    c.font = palette.font;
    const width = c.measureText(text).width + 8;
    const from = at + 4 + width > box.x + box.w ? at - 4 - width : at + 4;
    c.fillStyle = palette.card;
    c.fillRect(from, box.y, width, 17);
    c.fillStyle = palette.text;
    c.textAlign = "left";
    c.textBaseline = "top";
    c.fillText(text, from + 4, box.y + 3);
  }
}

// runs yields the [first, last] indexes of unbroken stretches.
function runs(points, away) {
  const all = [];
  let from = 0;
  for (let i = 1; i <= points.length; i++) {
    if (i === points.length || points[i].t - points[i - 1].t > away) {
      all.push([from, i - 1]);
      from = i;
    }
  }
  return all.filter(([a, b]) => b >= a && points.length > 0);
}

// nice is the smallest of 1, 2, 5 times a power of ten that is not below v; with base 1024 a power of two. The half of it has
// a label, too: where that must be whole, 4 and 2 take the place of 5 and 1.
function nice(v, base, whole) {
  if (base === 1024) return 2 ** Math.ceil(Math.log2(v));
  const power = 10 ** Math.floor(Math.log10(v));
  for (const m of whole ? [1, 2, 4, 10] : [1, 2, 5, 10]) {
    if (m * power >= v && !(whole && m * power < 2)) return m * power;
  }
  return 10 * power;
}

function line(c, x1, y1, x2, y2) {
  c.beginPath();
  c.moveTo(x1, y1);
  c.lineTo(x2, y2);
  c.stroke();
}

function element(name, className = "") {
  const e = document.createElement(name);
  if (className) e.className = className;
  return e;
}

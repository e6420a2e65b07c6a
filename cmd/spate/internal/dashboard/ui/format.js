// How figures are written, with units, in few characters.

export function count(n) {
  return Math.round(n).toLocaleString("en-US");
}

export function percent(v) {
  return (v >= 10 || v === 0 ? Math.round(v) : v.toFixed(1)) + " %";
}

export function plain(v) {
  return v >= 100 || Number.isInteger(v) ? String(Math.round(v)) : v.toFixed(2);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(v) {
  let i = 0;
  while (v >= 1024 && i < UNITS.length - 1) {
    v /= 1024;
    i++;
  }
  return (v >= 100 || i === 0 ? Math.round(v) : v.toFixed(1)) + " " + UNITS[i];
}

export function bytesRate(v) {
  return bytes(v) + "/s";
}

export function perSecond(v) {
  return (v >= 100 || Number.isInteger(v) ? count(v) : v.toFixed(1)) + "/s";
}

export function time(ms) {
  const d = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

// moment is a time with its day, as short in every language, and the same hour only once a day.
export function moment(ms) {
  const d = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${time(ms)}`;
}

// age is a span of time in ms, in its largest unit and the next one.
export function age(ms) {
  const s = Math.max(Math.round(ms / 1000), 0);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

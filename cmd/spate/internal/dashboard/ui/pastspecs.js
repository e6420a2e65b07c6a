// The overview's charts: columns of GET /overview, and how they are drawn.

import { bytes, bytesRate, count, percent, perSecond } from "./format.js";

const ms = (v) => (v >= 1000 ? (v / 1000).toFixed(1) + " s" : v >= 10 ? Math.round(v) + " ms" : v >= 0.1 ? v.toFixed(1) + " ms" : Math.round(v * 1000) + " µs");

export const pastSpecs = [
  {
    title: "Connections by state", format: count, stack: true, least: 5,
    series: [
      { key: "up_to_date", label: "up to date", color: "teal" },
      { key: "catching_up", label: "reading the log", color: "blue" },
      { key: "stalled", label: "taking no bytes", color: "amber" },
    ],
  },
  {
    title: "Connections by transport", format: count, stack: true, least: 5,
    series: [
      { key: "socket", label: "socket", color: "teal" },
      { key: "tls", label: "TLS socket", color: "blue" },
      { key: "http1", label: "HTTP/1", color: "amber" },
      { key: "http2", label: "HTTP/2", color: "pink" },
    ],
  },
  {
    title: "Events and deliveries", format: perSecond, least: 10,
    series: [
      { key: "events", label: "events", color: "teal", fill: true },
      { key: "delivered", label: "deliveries", color: "blue" },
      { key: "resent", label: "from history", color: "amber" },
    ],
  },
  {
    title: "Bytes sent", format: bytesRate, base: 1024, least: 1024,
    series: [{ key: "sent_bytes", label: "to all connections", color: "teal", fill: true }],
  },
  {
    title: "Push to socket, median", format: ms, stack: true, least: 0.1,
    series: [
      { key: "commit_p50", label: "until the log has it", color: "blue" },
      { key: "send_p50", label: "until it is sent", color: "teal" },
    ],
  },
  {
    title: "Push to socket, 99th percentile", format: ms, stack: true, least: 0.1,
    series: [
      { key: "commit_p99", label: "until the log has it", color: "blue" },
      { key: "send_p99", label: "until it is sent", color: "teal" },
    ],
  },
  {
    title: "Lost and ended", format: perSecond, least: 1,
    series: [
      { key: "lost", label: "deliveries lost", color: "pink", fill: true },
      { key: "ends", label: "connections ended", color: "amber" },
    ],
  },
  {
    title: "Lag of slow connections", format: count, least: 10,
    series: [
      { key: "lag_p99", label: "events behind, 99th percentile", color: "amber", fill: true },
      { key: "pending", label: "waiting deliveries", color: "blue" },
    ],
  },
  {
    title: "Log", format: bytes, base: 1024, least: 1 << 20,
    series: [
      { key: "log_bytes", label: "events", color: "teal", fill: true },
      { key: "disk_bytes", label: "on the disk", color: "blue" },
    ],
    note: (v, { log }) => (log ? `${count(log.records)} events, ${bound(log.retention)}` : "none"),
  },
  {
    title: "Processor", format: percent, least: 10,
    series: [{ key: "cpu", label: "of one core", color: "teal", fill: true }],
  },
  {
    title: "Memory", format: bytes, base: 1024, least: 1 << 20,
    series: [{ key: "resident", label: "resident", color: "pink", fill: true }],
    note: (v) => `${count(v.goroutines)} goroutines`,
  },
];

function days(n) {
  return n === 1 ? "a day" : `${n} days`;
}

function bound({ age_seconds: age, records, bytes: size }) {
  const all = [];
  if (age > 0) all.push(age >= 86400 ? days(+(age / 86400).toFixed(1)) : age >= 3600 ? `${+(age / 3600).toFixed(1)} h` : `${Math.round(age / 60)} min`);
  if (records > 0) all.push(`${count(records)} events`);
  if (size > 0) all.push(bytes(size));
  return all.length ? `kept up to ${all.join(" or ")}` : "kept without bound";
}

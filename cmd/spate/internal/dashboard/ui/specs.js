// What each chart shows: the topic it draws, and how.

import { bytes, bytesRate, count, percent, perSecond, plain } from "./format.js";

export const specs = {
  cpu: {
    title: "Processors", format: percent, max: 100, stack: true,
    series: [
      { key: "user", label: "user", color: "teal" },
      { key: "system", label: "system", color: "blue" },
      { key: "iowait", label: "waiting for I/O", color: "amber" },
      { key: "steal", label: "stolen", color: "pink" },
    ],
    note: (d) => (d.cores?.length ? d.cores.length + (d.cores.length === 1 ? " core" : " cores") : ""),
  },
  mem: {
    title: "Memory", format: bytes, max: "total",
    series: [
      { key: "used", label: "used", color: "blue", fill: true },
      { key: "cached", label: "cache", color: "teal" },
      { key: "swapUsed", label: "swap", color: "pink" },
    ],
    note: (d) => bytes(d.total),
  },
  net: {
    title: "Network", format: bytesRate, base: 1024, least: 1024,
    series: [
      { key: "rx", label: "in", color: "teal", fill: true },
      { key: "tx", label: "out", color: "amber" },
      { key: "loopback", label: "loopback", color: "blue" },
    ],
    note: () => "",
  },
  load: {
    title: "Load", format: plain,
    series: [
      { key: "one", label: "1 min", color: "amber", fill: true },
      { key: "five", label: "5 min", color: "teal" },
      { key: "fifteen", label: "15 min", color: "blue" },
    ],
    note: (d) => `${count(d.running)} of ${count(d.tasks)} tasks run`,
  },
  hub: {
    title: "Hub", format: perSecond, least: 10,
    series: [
      { key: "eventRate", label: "pushed", color: "teal", fill: true },
      { key: "deliverRate", label: "delivered", color: "blue" },
    ],
    note: (d) => `${count(d.clients)} ${d.clients === 1 ? "client" : "clients"}`,
  },
  process: {
    title: "Hub process", format: bytes, base: 1024, least: 1 << 20,
    series: [{ key: "resident", label: "resident", color: "pink", fill: true }],
    note: (d) => `${count(d.goroutines)} goroutines` + (d.files ? `, ${count(d.files)} descriptors` : ""),
  },
};

// chartsOf names the charts that draw a topic.
export function chartsOf(topic) {
  return topic === "hub" ? ["hub", "process"] : specs[topic] ? [topic] : [];
}

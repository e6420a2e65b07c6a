// The worker that runs the Core: one SharedWorker for all pages where the browser has them. Elsewhere each page has a
// worker of its own; the one that gets the lock leads and serves all pages over BroadcastChannels, and when its page
// goes the next one gets the lock. Where there are no locks either, each worker serves its own page alone.

import { Core } from "./core.js";

const core = new Core();

if ("SharedWorkerGlobalScope" in self) {
  self.onconnect = (e) => {
    const [port] = e.ports;
    const link = { post: (m) => port.postMessage(m), close: () => port.close() };
    port.onmessage = ({ data }) => core.message(link, data);
  };
} else if (self.name && self.navigator.locks && self.BroadcastChannel) {
  // Until the worker ends, which it does with its page.
  self.navigator.locks.request("spate leader " + self.name, () => new Promise(() => lead(self.name)));
} else {
  const link = { post: (m) => self.postMessage(m) };
  self.onmessage = ({ data }) => core.message(link, data);
}

function lead(name) {
  const pages = new Set();
  const all = new BroadcastChannel("spate " + name);
  const serve = (page) => {
    if (pages.has(page)) return;
    pages.add(page);
    const channel = new BroadcastChannel(`spate ${name} ${page}`);
    const close = () => {
      pages.delete(page);
      channel.close();
    };
    const link = { post: (m) => channel.postMessage(m), close };
    channel.onmessage = ({ data }) => core.message(link, data);
    link.post({ kind: "ready" });
  };
  all.onmessage = ({ data }) => data.kind === "here" && serve(data.page);
  all.postMessage({ kind: "who" });
}

// A page's way to the Core, by whatever the browser has. See worker.js.

import { hub } from "./at.js";

const SCRIPT = hub("/ui/worker.js");

export class Link {
  // build names the hub's version of these files: pages of two versions do not share a worker. on: message(m), and
  // ready(lock) whenever a Core begins to listen that knows nothing of this page yet.
  constructor(build, on) {
    this.build = `${build} ${hub("/")}`; // nor do those of two hubs at one address
    this.on = on;
    this.page = Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join("");
    this.post = () => {};
    this.mode = "";
    addEventListener("pagehide", () => this.post({ kind: "bye" }));
    addEventListener("pageshow", (e) => {
      if (e.persisted) location.reload();
    });
    this.begin();
  }

  async begin() {
    this.lock = await hold("spate page " + this.page);
    try {
      this.shared();
    } catch {
      this.standby(); // there are none, or not for pages without storage
    }
  }

  shared() {
    const worker = new SharedWorker(SCRIPT, { type: "module", name: this.build });
    worker.onerror = () => this.standby(); // no modules in workers
    worker.port.onmessage = ({ data }) => this.on.message(data);
    this.to("shared", (m) => worker.port.postMessage(m));
    this.on.ready(this.lock);
  }

  standby() {
    const name = this.lock && "BroadcastChannel" in window ? this.build : "";
    const worker = new Worker(SCRIPT, { type: "module", name });
    worker.onerror = () => this.on.message({ kind: "state", state: "failed" });
    if (!name) {
      worker.onmessage = ({ data }) => this.on.message(data);
      this.to("alone", (m) => worker.postMessage(m));
      this.on.ready("");
      return;
    }
    const own = new BroadcastChannel(`spate ${name} ${this.page}`);
    own.onmessage = ({ data }) => {
      if (data.kind !== "ready") return this.on.message(data);
      this.to("leader", (m) => own.postMessage(m));
      return this.on.ready(this.lock);
    };
    const all = new BroadcastChannel("spate " + name);
    const here = () => all.postMessage({ kind: "here", page: this.page });
    all.onmessage = ({ data }) => data.kind === "who" && here();
    here();
  }

  to(mode, post) {
    this.mode = mode;
    this.post = post;
  }
}

// hold takes a lock for as long as the page lives, and returns its name; "" where the browser has no locks.
function hold(name) {
  return new Promise((done) => {
    const taken = () => new Promise(() => done(name));
    (navigator.locks?.request(name, taken) ?? Promise.reject()).catch(() => done(""));
  });
}

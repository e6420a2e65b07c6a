// The one place of a browser that talks to the hub on behalf of all its pages. Over HTTP/1.1 a browser opens six
// connections to a hub at most, for all tabs together: pages that ask for the same share one stream, and the number of
// different ones is bounded, so that there is always room for pushes.

import { hub } from "./at.js";
import { Feed, sentence } from "./feed.js";

export const STREAMS = 4;
const LOOK = 5000;          // ms between two looks at /stats where no demo feed tells the hub's figures
const LOOK_TIMEOUT = 5000;
const UNREAD_MAX = 32 << 20; // characters under way to a page; what exceeds that is skipped

// A link is a page: post(message) sends to it. The rest is the Core's.
export class Core {
  constructor() {
    this.links = new Set();
    this.feeds = new Map(); // by what is asked for
    this.looking = null;
    this.timer = 0;
    this.known = false; // whether the last look was answered
    this.demo = false;
    this.forbidden = false; // to the reader of these pages
  }

  // message takes a page's word; the first one makes it known.
  message(link, m) {
    if (m.kind === "bye") return this.leave(link);
    if (!this.links.has(link)) this.join(link, m.lock);
    switch (m.kind) {
      case "hello":
        this.look();
        break;
      case "open":
        this.open(link, m);
        break;
      case "again":
        link.feed?.tryNow();
        this.look();
        break;
      case "read":
        this.read(link, m.size);
        break;
      case "pushed": // one page knows whom an event is for; the stream does not say
        for (const other of this.links) other.post(m);
    }
    return undefined;
  }

  // join: a page holds its lock for as long as it lives, also where it is gone without a word.
  join(link, lock) {
    this.links.add(link);
    link.unread = 0;
    link.skipped = 0;
    if (lock && navigator.locks) navigator.locks.request(lock, () => this.leave(link));
    if (!this.timer) this.timer = setInterval(() => (this.known && this.demo) || this.forbidden || this.look(), LOOK);
  }

  leave(link) {
    this.drop(link);
    this.links.delete(link);
    link.close?.();
    if (this.links.size > 0) return;
    clearInterval(this.timer);
    this.timer = 0;
  }

  // open gives a page the stream it asks for: {uid, topics, last, after}. It has seen everything up to last; without
  // one, a stream that is new begins after `after`.
  open(link, wish) {
    this.drop(link);
    link.wish = wish;
    const key = JSON.stringify([wish.uid, [...new Set(wish.topics)].sort()]);
    let feed = this.feeds.get(key);
    if (!feed) {
      if (this.feeds.size >= STREAMS) {
        link.post({ kind: "state", state: "waiting", streams: STREAMS });
        return;
      }
      feed = new Feed(wish, {
        items: (list) => this.toAll(feed, list),
        state: (s) => this.state(feed, s),
      });
      feed.key = key;
      this.feeds.set(key, feed);
      link.feed = feed;
      feed.start(wish.last || wish.after || "");
      return;
    }
    link.feed = feed;
    const missed = feed.recent.after(wish.last);
    if (missed) {
      link.post({ kind: "state", ...feed.state });
      this.give(link, missed);
    } else {
      feed.start(wish.last); // pages pass over what they have seen
    }
  }

  // drop ends a page's part in its stream. One that nobody reads is closed, and who waits for room gets it.
  drop(link) {
    const { feed } = link;
    link.feed = null;
    link.wish = null;
    if (!feed || [...this.links].some((other) => other.feed === feed)) return;
    feed.stop();
    this.feeds.delete(feed.key);
    const next = [...this.links].find((other) => other.wish && !other.feed);
    if (next) this.open(next, next.wish);
  }

  toAll(feed, list) {
    for (const link of this.links) {
      if (link.feed === feed) this.give(link, list);
    }
  }

  // give posts events to a page, but no more than it reads: one that hangs must not fill the memory.
  give(link, list) {
    if (list.length === 0) return;
    let size = 0;
    for (const item of list) size += 100 + (item.data?.length || 0);
    if (link.skipped > 0 || (link.unread > 0 && link.unread + size > UNREAD_MAX)) {
      link.skipped += list.length;
      return;
    }
    link.unread += size;
    link.post({ kind: "items", list, size });
  }

  read(link, size) {
    link.unread -= size;
    if (link.skipped === 0 || link.unread > UNREAD_MAX / 2) return;
    link.post({ kind: "skipped", count: link.skipped });
    link.skipped = 0;
  }

  state(feed, s) {
    for (const link of this.links) {
      if (link.feed === feed) link.post({ kind: "state", ...s });
    }
    if (s.state === "live") this.look(); // it may be another hub by now
  }

  // look tells every page what /stats says, one look at a time.
  look() {
    this.looking ||= stats().then((m) => {
      this.looking = null;
      this.known = m.stats !== undefined;
      this.forbidden = m.forbidden === true;
      if (this.known) this.demo = m.stats.demo === true;
      for (const link of this.links) link.post(m);
    });
  }
}

async function stats() {
  try {
    const answer = await fetch(hub("/stats"), { cache: "no-store", signal: AbortSignal.timeout(LOOK_TIMEOUT) });
    if (answer.status === 403) return { kind: "stats", forbidden: true, why: "they are the administrator's" };
    if (!answer.ok) return { kind: "stats", why: `${answer.status}: ${sentence(await answer.text())}` };
    return { kind: "stats", stats: await answer.json() };
  } catch (err) {
    return { kind: "stats", why: err.name === "TimeoutError" ? `no answer for ${LOOK_TIMEOUT / 1000} s` : "no connection" };
  }
}

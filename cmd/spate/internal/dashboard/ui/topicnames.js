// Asks the hub's history for the topics of events on the list, and for an operator their users: the stream does not tell them.

import { ask } from "./api.js";
import { compare, minus } from "./ids.js";

const PAUSE = 1000; // ms between two questions at least

export class TopicNames {
  // learn(event) is told what is found.
  constructor(learn) {
    this.learn = learn;
    this.asking = false;
    this.at = 0;
    this.upTo = "0"; // what is up to here has been asked for
  }

  // anew has all asked for again: other events are wanted.
  anew() {
    this.upTo = "0";
  }

  // look asks about those of the IDs that were not asked for yet. They came by the subscription.
  async look(ids, { uid, topics }, now) {
    const open = ids.filter((id) => compare(id, this.upTo) > 0).sort(compare);
    if (open.length === 0 || this.asking || now - this.at < PAUSE) return;
    this.asking = true;
    this.at = now;
    try {
      const page = await ask("/history", { after: minus(open[0], 1), topic: topics, uid, limit: open.length + 50 });
      for (const e of page.events) this.learn(e);
      const last = open.at(-1);
      this.upTo = compare(page.next, last) < 0 ? page.next : last;
      if (page.events.length === 0) this.upTo = last; // a gap, or not kept
    } catch {
      this.at = now + 10 * PAUSE; // no history, or none at present
    }
    this.asking = false;
  }
}

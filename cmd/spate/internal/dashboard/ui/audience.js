// Whom an event was for. The stream does not say: what is known is what history tells (of users, to operators alone), what
// the forms of this browser's pages pushed, what the demo feed pushes, and what follows from what a page asks for.

const KEEP = 5000;

export const UNKNOWN = "?";

export class Audience {
  constructor() {
    this.pushed = new Map(); // ID -> {topic, users}
    this.topics = new Map(); // ID -> {topic, key, users: of whom it is known}, as history tells
    this.tellsUsers = false; // history does: its reader is an operator
  }

  learn({ id, topic, users }) {
    this.pushed.set(id, { topic: topic || "none", users: named(users), names: users });
    if (this.pushed.size > KEEP) this.pushed.delete(this.pushed.keys().next().value);
  }

  // learnPast takes an event as history tells it.
  learnPast({ id, topic, key, users, users_more: more }) {
    this.topics.set(id, { topic: topic || "none", key: key || "none", users: this.tellsUsers ? named(users, more) : undefined, names: users });
    if (this.topics.size > KEEP) this.topics.delete(this.topics.keys().next().value);
  }

  knows(id) {
    return this.pushed.has(id) || this.topics.has(id);
  }

  // of returns {topic, users, key} as text, for a row of the list: an event and the subscription by which it came.
  of({ id, type, measurement, subscription: { uid, topics } }) {
    const told = this.topics.get(id);
    const known = this.pushed.get(id);
    if (known) return { key: told?.key, ...known };
    if (measurement) return { topic: type, users: "all", key: type };
    return {
      topic: told?.topic ?? (topics.length === 0 ? "none" : UNKNOWN), // who follows none gets none of a topic
      key: told?.key,
      users: told?.users ?? (uid === "" ? "all" : UNKNOWN), // who is nobody gets nothing private
    };
  }

  // isFor says whether an event was pushed to a user by name, as far as is known.
  isFor(id, user) {
    return Boolean(this.topics.get(id)?.names?.includes(user) || this.pushed.get(id)?.names?.includes(user));
  }
}

function named(users, more = 0) {
  return users ? users.join(", ") + (more ? ` and ${more} more` : "") : "all";
}

// Whom an event was for. The stream does not say: what is known is what history tells (of users, to operators alone), what
// the forms of this browser's pages pushed, what the demo feed pushes, and what follows from what a page asks for.
//
// What is known is {topic, key, names, more}: a topic or key that is "" is none, names that are null are everyone, and what is
// undefined is not known; more is how many users there are besides those named.

const KEEP = 5000;

export class Audience {
  constructor() {
    this.pushed = new Map(); // ID -> what is known of it
    this.topics = new Map(); // ID -> what history tells
    this.tellsUsers = false; // history does: its reader is an operator
  }

  learn({ id, topic, users }) {
    this.pushed.set(id, { topic: topic || "", names: users ?? null });
    if (this.pushed.size > KEEP) this.pushed.delete(this.pushed.keys().next().value);
  }

  // learnPast takes an event as history tells it.
  learnPast(event) {
    this.topics.set(event.id, this.told(event));
    if (this.topics.size > KEEP) this.topics.delete(this.topics.keys().next().value);
  }

  told({ topic, key, users, users_more: more }) {
    return { topic: topic || "", key: key || "", names: this.tellsUsers ? users ?? null : undefined, more };
  }

  knows(id) {
    return this.pushed.has(id) || this.topics.has(id);
  }

  // of returns what worded does, for a row of the list: an event and the subscription by which it came.
  of({ id, type, measurement, subscription: { uid, topics } }) {
    const told = this.topics.get(id);
    const known = this.pushed.get(id);
    if (known) return worded({ key: told?.key, ...known });
    if (measurement) return worded({ topic: type, key: type, names: null });
    const all = { names: uid === "" ? null : undefined }; // who is nobody gets nothing private
    const { names, more } = told?.names === undefined ? all : told;
    return worded({ topic: told?.topic ?? (topics.length === 0 ? "" : undefined), key: told?.key, names, more }); // who follows none gets none of a topic
  }

  // ofPast returns what worded does, for an event as history tells it.
  ofPast(event) {
    return worded(this.told(event));
  }

  // isFor says whether an event was pushed to a user by name, as far as is known.
  isFor(id, user) {
    return Boolean(this.topics.get(id)?.names?.includes(user) || this.pushed.get(id)?.names?.includes(user));
  }
}

// worded is {topic, users, key} as text, and push: what a push to the same names, null where not all of it is known.
function worded({ topic, key, names, more = 0 }) {
  const text = (value) => (value === undefined ? "?" : value || "none");
  const whole = topic !== undefined && names !== undefined && !more;
  return {
    topic: text(topic), key: text(key), users: names === null ? "all" : names ? names.join(", ") + (more ? ` and ${more} more` : "") : "?",
    push: whole ? { uids: names ?? undefined, topic: topic || undefined, key: key || undefined } : null,
  };
}

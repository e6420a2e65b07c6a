// What the page says about its stream: the word in the head, and a line below it where there is something to explain.

import { time } from "./format.js";

export class Notice {
  // parts: {pill, line, why, next, again}, elements.
  constructor(parts, again) {
    Object.assign(this, parts);
    this.state = { state: "connecting" };
    this.again.addEventListener("click", again);
  }

  // show takes a state of the stream. statsWhy is why /stats did not answer, or "".
  show(state, statsWhy) {
    this.state = state;
    const name = state.slow && state.state !== "live" ? "waiting" : state.state;
    this.pill.dataset.state = name;
    this.pill.querySelector("b").textContent = name;
    document.title = (name === "live" ? "" : "(" + name + ") ") + "spate";
    const text = sentenceFor(state) || (statsWhy && `The hub's figures cannot be had (${statsWhy}): what is shown of them is old.`);
    if (this.why.textContent !== text) this.why.textContent = text;
    this.line.hidden = text === "";
    this.line.dataset.kind = name;
    this.again.hidden = name !== "reconnecting" && name !== "refused";
    this.tick();
  }

  // tick counts down to the next try; it is apart from the text, so that no screen reader is told each second.
  tick() {
    const { state, next } = this.state;
    let text = "";
    if (state === "reconnecting" && next) {
      const left = Math.ceil((next - Date.now()) / 1000);
      text = left > 0 ? `Next try in ${left} s.` : "Trying now.";
    }
    if (this.next.textContent !== text) this.next.textContent = text;
  }
}

function sentenceFor({ state, why, since, slow, streams }) {
  const away = since ? ` since ${time(since)}` : "";
  if (state === "refused" && why.startsWith("401:")) return `The hub does not know any more who reads this page${away} (${why}). Load it again to say so, or ask again once you have.`;
  if (state === "refused") return `The hub refuses this stream (${why}). Change user or topics below, or ask again.`;
  if (state === "failed") return "This browser cannot run the page's worker, which reads the stream: it needs workers with modules.";
  if (state === "waiting") {
    return `Other tabs of this browser hold ${streams} different streams, as many as leave room for pushes. This one begins when one of them closes, or asks for the same user and topics.`;
  }
  if (state === "live") return "";
  if (slow) {
    return `Waiting for the hub's answer${away}. A browser opens six connections at most to one hub: if other tabs hold streams of it, close some.`;
  }
  if (state === "reconnecting") return `No stream${away} (${why}). What is shown is from before.`;
  return "";
}

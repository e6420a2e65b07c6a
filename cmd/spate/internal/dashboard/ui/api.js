// Questions to the hub beside the stream. What is wrong is thrown as an Error in the hub's own words, with
// the status and the field that is at fault.

import { hub } from "./at.js";
import { object, sentence } from "./feed.js";

const PATIENCE = 15_000; // ms; the hub's own is 10 s

// ask returns the answer's JSON. query is an object whose empty values are left out, and whose lists are repeated.
export async function ask(path, query = {}, method = "GET", body = undefined) {
  let answer;
  try {
    answer = await fetch(hub(path) + search(query), {
      method, cache: "no-store", signal: AbortSignal.timeout(PATIENCE),
      ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
    });
  } catch (err) {
    throw new Error(err.name === "TimeoutError" ? `no answer for ${PATIENCE / 1000} s` : "no connection");
  }
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text);
  throw Object.assign(new Error(`${answer.status}: ${sentence(text)}`), { status: answer.status, field: object(text).field });
}

function search(query) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) {
      if (one !== undefined && one !== "") params.append(name, one);
    }
  }
  const text = params.toString();
  return text && "?" + text;
}

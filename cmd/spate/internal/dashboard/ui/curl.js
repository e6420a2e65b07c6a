// What a page does, as a command of a shell.

import { hub } from "./at.js";

// quoted is a text as one word of a POSIX shell.
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

// pushCommand is the command that pushes a body.
export function pushCommand(body) {
  return `curl -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(body))} \\\n  ${hub("/push")}`;
}

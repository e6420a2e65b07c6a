// Patterns of topics: "*" is one token, ">" at the end one or more.

// matches says whether a pattern has a topic.
export function matches(pattern, topic) {
  const want = pattern.split(".");
  const tokens = topic.split(".");
  for (let i = 0; i < want.length; i++) {
    if (want[i] === ">" && i === want.length - 1) return tokens.length > i;
    if (i >= tokens.length || (want[i] !== "*" && want[i] !== tokens[i])) return false;
  }
  return want.length === tokens.length;
}

// Elements without markup: what comes from the hub is text, whatever it looks like.

// make returns an element: props are properties, or attributes where their name has a dash; children are elements or text.
export function make(name, props = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (key.includes("-") || key === "role" || key === "scope") e.setAttribute(key, value);
    else e[key] = value;
  }
  e.append(...children);
  return e;
}

// put sets a text only where it is another: a screen reader is told of changes alone.
export function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// choice is a labelled list of texts to choose from, after one that stands for "".
export function choice(label, name, none, texts) {
  const options = [["", none], ...texts.map((t) => [t, t])].map(([value, text]) => make("option", { value }, text));
  return make("label", {}, label + " ", make("select", { name }, ...options));
}

// field is a labelled input.
export function field(label, name, props = {}) {
  return make("label", {}, label + " ", make("input", { name, spellcheck: false, ...props }));
}

// Names in one field.

// list splits at commas; an empty field is undefined: everyone.
export function list(text) {
  const names = text.split(",").map((s) => s.trim()).filter(Boolean);
  return names.length ? names : undefined;
}

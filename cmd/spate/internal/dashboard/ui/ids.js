// IDs are decimal numbers of up to 20 digits without leading zeros, beyond what a Number holds: they stay strings.

// compare is negative, zero or positive as a is before, equal to or after b.
export function compare(a, b) {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

// minus returns id - n, not below zero, as a string.
export function minus(id, n) {
  const left = BigInt(id) - BigInt(n);
  return left > 0n ? String(left) : "0";
}

#!/usr/bin/env bash
# fuzz.sh [time]: runs every fuzz target of the main module for the given time (default 10s), one after the other,
# because `go test -fuzz` takes one target of one package.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
time=${1:-10s}
found=0
while IFS=: read -r file name; do
	found=1
	dir=./$(dirname "$file")
	echo "== $dir $name ($time)"
	"$go" test -run '^$' -fuzz "^${name}\$" -fuzztime "$time" "$dir"
done < <(git ls-files '*_test.go' | xargs grep -Eo '^func Fuzz[A-Za-z0-9_]*' | sed 's/func //' | sort)
[ "$found" = 1 ] || { echo "no fuzz target found" >&2; exit 1; }

#!/usr/bin/env bash
# bench-compare.sh <base> <packages> <bench> <count> <benchtime> [max]
# Runs the same benchmarks of revision <base> and of the working tree in turns (base, head, base, head ...), so that a
# machine that grows warmer or busier meanwhile does so to both, and prints benchstat's comparison. With <max>, a number of
# percent, it fails where a figure has become worse by more than that and by more than noise (p < 0.05); for that it needs
# six rounds. It fails where nothing was compared.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
base=$1 packages=$2 bench=$3 count=$4 benchtime=$5 max=${6:-}
top=$PWD
if [ -n "$max" ] && ! [[ $max =~ ^[0-9]+(\.[0-9]+)?$ ]]; then
	echo "bench-compare: MAX is a number of percent, not '$max'" >&2
	exit 2
fi
if [ -n "$max" ] && [ "$count" -lt 6 ]; then
	echo "bench-compare: with $count rounds nothing is known to be more than noise: BENCHCOUNT=6 or more" >&2
	exit 2
fi
tmp=$(mktemp -d)
cleanup() {
	git worktree remove --force "$tmp/base" 2>/dev/null || true
	rm -rf "$tmp"
}
trap cleanup EXIT
git worktree add --quiet --detach "$tmp/base" "$base"

# build <tree> <out>: one test binary for each package of the tree that has benchmarks.
build() {
	local pkg
	mkdir -p "$2"
	cd "$1"
	for pkg in $("$go" list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' $packages); do
		grep -lqE '^func Benchmark' "$pkg"/*_test.go || continue
		pkg=${pkg#"$PWD"/}
		"$go" test -c -o "$2/${pkg//\//_}" "./$pkg"
		echo "$pkg" > "$2/${pkg//\//_}.dir"
	done
	cd "$top"
}
# bench_all <tree> <binaries> <results>: one round.
bench_all() {
	local dir bin
	for dir in "$2"/*.dir; do
		[ -e "$dir" ] || continue
		bin=${dir%.dir}
		(cd "$1/$(cat "$dir")" && "$bin" -test.run '^$' -test.bench "$bench" -test.benchmem -test.benchtime "$benchtime") >> "$3"
	done
}
# names <results>: the benchmarks in it.
names() { awk '/^pkg:/ {pkg = $2} /^Benchmark/ {print pkg "." $1}' "$1" | sort -u; }

build "$tmp/base" "$tmp/bin-base"
build "$top" "$tmp/bin-head"
mkdir -p bin
: > bin/bench-base.txt
: > bin/bench-head.txt
for ((i = 1; i <= count; i++)); do
	echo "round $i of $count" >&2
	bench_all "$tmp/base" "$tmp/bin-base" "$top/bin/bench-base.txt"
	bench_all "$top" "$tmp/bin-head" "$top/bin/bench-head.txt"
	if [ -z "$(comm -12 <(names bin/bench-base.txt) <(names bin/bench-head.txt))" ]; then
		echo "bench-compare: no benchmark of $packages that both revisions have matches '$bench'" >&2
		exit 2
	fi
done
stat() { "$go" tool -modfile="$top/tools/go.mod" benchstat "$@" "base=bin/bench-base.txt" "head=bin/bench-head.txt"; }
stat
[ -n "$max" ] || exit 0

# In benchstat's CSV a table begins with a line of the files and one of the units; then name, base, its spread, head, its
# spread, difference ("~" = noise), p. More is better of what is counted by the second.
stat -format csv 2>/dev/null | awk -F, -v max="$max" '
	/,vs base,P$/ { unit = $2; next }
	$6 ~ /^[+-][0-9.]+%$/ && $1 != "geomean" {
		change = $6 + 0
		if (unit ~ /\/s$/) change = -change
		if (change > max) { print "WORSE: " $1 " " unit ": " $6 > "/dev/stderr"; worse = 1 }
	}
	END { exit worse }' || { echo "bench-compare: worse than $base by more than $max %" >&2; exit 1; }

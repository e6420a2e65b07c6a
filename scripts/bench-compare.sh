#!/usr/bin/env bash
# bench-compare.sh <base> <packages> <bench> <count> <benchtime>
# Runs the same benchmarks of revision <base> and of the working tree in turns (base, head, base, head ...), so that a
# machine that grows warmer or busier meanwhile does so to both, and prints benchstat's comparison.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
base=$1 packages=$2 bench=$3 count=$4 benchtime=$5
top=$PWD
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
build "$tmp/base" "$tmp/bin-base"
build "$top" "$tmp/bin-head"
mkdir -p bin
: > bin/bench-base.txt
: > bin/bench-head.txt
for ((i = 1; i <= count; i++)); do
	echo "round $i of $count" >&2
	bench_all "$tmp/base" "$tmp/bin-base" "$top/bin/bench-base.txt"
	bench_all "$top" "$tmp/bin-head" "$top/bin/bench-head.txt"
done
"$go" tool -modfile="$top/tools/go.mod" benchstat "base=bin/bench-base.txt" "head=bin/bench-head.txt"

#!/usr/bin/env bash
# loadtest-picture.sh [picture]: runs loadtest against a hub on this machine and makes the picture of its report that the
# README shows (docs/images/loadtest-report.png). Needs a Chromium. Fails where something was lost, and, unless ANYWAY is
# set, where the run does not count because this machine was too busy for it.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
picture=$(realpath -m "${1:-docs/images/loadtest-report.png}")
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
	{ echo "loadtest-picture: no Chromium here" >&2; exit 2; }
tmp=$(mktemp -d)
hub=
cleanup() {
	[ -z "$hub" ] || kill "$hub" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$tmp"
}
trap cleanup EXIT
"$go" build -o "$tmp/spate" ./cmd/spate
"$go" build -o "$tmp/loadtest" ./loadtest
"$tmp/spate" serve --data "$tmp/data" --listen 127.0.0.1:0 > "$tmp/hub.log" 2>&1 &
hub=$!
url=
for _ in $(seq 100); do
	url=$(grep -oE '127\.0\.0\.1:[0-9]+' "$tmp/hub.log" | grep -v ':0$' | head -1 || true)
	[ -z "$url" ] || break
	sleep 0.1
done
[ -n "$url" ] || { cat "$tmp/hub.log" >&2; exit 1; }
"$tmp/loadtest" run -url "http://$url" -streams "${STREAMS:-1000}" -rate "${RATE:-100/s}" -duration 20s -churn 1% -storm 10s:30% \
	-server-pid "$hub" -expect 'lost==0' -expect 'duplicates==0' -html "$tmp/report.html" -quiet ||
	{ code=$?; [ "$code" = 3 ] && [ -n "${ANYWAY:-}" ] || exit "$code"; } # 3: loadtest itself was the bottleneck
"$chromium" --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size="${WINDOW:-1200,1500}" --screenshot="$picture" \
	"file://$tmp/report.html" > "$tmp/chromium.log" 2>&1 || { tail -5 "$tmp/chromium.log" >&2; exit 1; }
echo "$picture"

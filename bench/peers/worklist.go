//go:build linux

package main

import (
	"slices"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/bench/peers/internal/peer"
	"github.com/spatehub/spate/loadtest/stamp"
)

// The bare loops, and the one that joins what waits, which has nothing to join where events come on schedule.
var (
	bare    = []string{"floor-go", "floor-batch-go"}
	joining = []string{"floor-batch-go"}
)

var works = []work{
	{
		name: "steady", title: "1,000 streams × 100 events/s",
		text:    "200-byte events to everyone on schedule.",
		columns: latencyColumns("floor-go"), without: joining,
		run: func(name string, o options) (sample, error) {
			return latency(name, everyone(1000), rig.Work{Rate: 100, Size: eventSize, Duration: o.span}, nil)
		},
	},
	{
		name: "json", title: "1,000 streams × 100 events/s of 1 kB JSON",
		text:    "JSON objects of about 1,000 bytes to everyone on schedule.",
		columns: latencyColumns("floor-go"), without: joining,
		run: func(name string, o options) (sample, error) {
			return latency(name, everyone(1000), rig.Work{Rate: 100, Size: 1000, JSON: true, Duration: o.span}, nil)
		},
	},
	{
		name: "loadtest", title: "The same as the first, loaded by loadtest",
		text:    "Two independent loads: what they find has to agree, and whether it does is computed below. Servers in this process only.",
		columns: latencyColumns("floor-go"), without: slices.Concat(joining, peer.Processes()),
		run: byLoadtest,
	},
	{
		name: "many", title: "10,000 streams: memory, connecting, 2 events/s",
		text: "Resident memory and goroutines that one idle stream adds, after all have connected at once and a garbage " +
			"collection (processes are not made to collect, and do not tell their goroutines); what a connection costs; then " +
			"200-byte events to everyone on schedule.",
		columns: append([]column{
			{head: "KiB/stream", digits: 2}, {head: "goroutines/stream", digits: 2},
			{head: "CPU µs/connect", digits: 1}, {head: "connects/s"},
		}, latencyColumns("floor-go")...),
		without: []string{"floor-batch-go", "spate-log"},
		run:     many,
	},
	{
		name: "flat", title: "1,000 streams, flat out",
		text: "200-byte events to everyone as fast as they are taken, with at most 512 under way that not every stream has had.",
		columns: []column{
			{head: "deliveries/s"}, {head: "CPU µs/delivery", digits: 3, floor: "floor-batch-go"},
			{head: "resident MiB", digits: 1}, {head: "loader busy", digits: 2},
		},
		run: flat,
	},
	{
		name: "unicast", title: "10,000 streams, 10,000 private events/s",
		text: "200-byte events, each to one user, on schedule. schedule-only sends nothing: what it costs to wake for each " +
			"event is part of every row but those of the processes, which take an HTTP request for each instead (centrifugo: " +
			"for all that wait).",
		columns: latencyColumns("floor-go"), without: joining, also: []string{server.Schedule},
		run: unicast,
	},
	{
		name: "stalled", title: "Two streams that never read, beside 200 that do",
		text: "8-kilobyte events to everyone, 100 a second; the delays of the healthy streams. Before the measured run, " +
			"6 MB and 1,900 events have gone to each stream, so that no buffer of the kernel or the library hides the two.",
		columns: []column{
			{head: "p50 µs, none stalled"}, {head: "p99 µs, none stalled"}, {head: "p50 µs"}, {head: "p99 µs"},
		},
		without: joining, rounds: 2,
		run: stalled,
	},
	{
		name: "resume", title: "2,000 streams resume at once", needs: peer.Resume,
		text: "Each was away for 100 events of 200 bytes, and connects with the ID of the last that it had, 128 of them at a time.",
		columns: []column{
			{head: "CPU µs/stream", digits: 0, floor: "spate-log"}, {head: "CPU µs/event", digits: 2},
			{head: "head p99 µs"}, {head: "all there after ms", floor: "spate-log"},
		},
		without: bare, run: resume,
	},
	{
		name: "churn", title: "200 streams come and go beside 500 that stay",
		text: "50 events/s of 200 bytes to everyone. Each of the 200 closes after five events, one behind the other without a " +
			"hole, and connects again at once: at most 2,000 times a second. The delays are those of the streams that stay.",
		columns: []column{
			{head: "connects/s"}, {head: "CPU µs/event and stream", digits: 2, floor: "floor-go"}, {head: "p50 µs"},
			{head: "p99 µs", floor: "floor-go"}, {head: "max µs"},
		},
		without: joining, run: churn,
	},
	{
		name: "tls", title: "1,000 streams over TLS × 20 events/s", needs: peer.TLS,
		text: "TLS 1.3 at the server, P-256, a handshake for each stream; memory as above, but of processes, which with so few streams says nothing; then 200-byte events to everyone on " +
			"schedule. Libraries stand behind crypto/tls.",
		columns: append([]column{{head: "KiB/stream", digits: 2}, {head: "CPU µs/connect", digits: 0}}, latencyColumns("spate")...),
		without: bare, run: overTLS,
	},
	{
		name: "gzip", title: "500 compressed streams × 20 events/s of 1 kB JSON", needs: peer.Gzip,
		text: "The streams accept gzip. Libraries that do not compress stand behind klauspost's gzhttp, which has a coder for " +
			"each stream. Memory as above. Bytes are those of the body's chunks.",
		columns: append([]column{{head: "bytes/delivery"}, {head: "KiB/stream", digits: 1}}, latencyColumns("spate")...),
		without: bare, run: compressed,
	},
}

// everyone is a load of streams that all get everything.
func everyone(streams int) rig.Load {
	return rig.Load{Streams: streams, Kind: stamp.Broadcast, Burst: 256}
}

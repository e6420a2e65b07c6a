//go:build linux

package bench_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
)

// BenchmarkMillion: what does a connection with a user and a topic hold, and what does one broadcast to all of them
// cost? The topic is each one's own, or one of a thousand. The sinks are in memory.
func BenchmarkMillion(b *testing.B) {
	for _, n := range []int{1_000_000, 10_000_000} {
		for _, own := range []bool{true, false} {
			name, topics := "own", n
			if !own {
				name, topics = "shared", 1000
			}
			b.Run(fmt.Sprintf("subscribers=%d/topics=%s", n, name), func(b *testing.B) {
				hub, size := followers(b, n, topics)
				pushSingle(b, hub, n, size)
			})
		}
	}
}

// followers returns a hub with n users online, each with a topic out of that many, and the bytes that each takes.
func followers(b *testing.B, n, topics int) (hub *engine.Hub, size float64) {
	b.Helper()
	before, start := liveBytes(), time.Now()
	hub = engine.NewHub(quiet(), engine.WithHeartbeat(-1))
	b.Cleanup(hub.Close)
	for i := range n {
		sub := engine.Subscription{UID: fmt.Sprintf("user-%08d", i), Topics: []string{fmt.Sprintf("topic-%08d", i%topics)}}
		if _, err := hub.Subscribe(sub, discard{}); err != nil {
			b.Fatal(err)
		}
	}
	await(b, func() bool { return hub.OnlineClientsNum() == n })
	b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(n), "ns/subscribe")
	return hub, float64(liveBytes()-before) / float64(n)
}

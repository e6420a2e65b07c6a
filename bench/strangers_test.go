//go:build linux

package bench_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/wire"
)

// awaited is a sink that tells when it got the text.
type awaited struct {
	text []byte
	rest []byte
	done chan struct{}
	seen atomic.Bool
}

func newAwaited(text string) *awaited {
	return &awaited{text: []byte(text), done: make(chan struct{})}
}

func (a *awaited) Write(p []byte) (int, error) {
	joined := append(a.rest, p...)
	if bytes.Contains(joined, a.text) && !a.seen.Swap(true) {
		close(a.done)
	}
	a.rest = append([]byte(nil), joined[max(0, len(joined)-len(a.text)):]...)
	return len(p), nil
}

func (*awaited) Close(error) {}

// BenchmarkResumeBesideStrangers: how long does an ordinary client wait for the 3,000 events that it is owed, alone and
// beside 200 connections of its own address that resume with 1,000 topics each, out of 50,000?
func BenchmarkResumeBesideStrangers(b *testing.B) {
	const topics, plain, events = 50_000, 3000, 300_000
	l, err := pebblelog.Open(b.TempDir(), pebblelog.WithSync(false))
	if err != nil {
		b.Fatal(err)
	}
	first := fillTopics(b, l, events, topics, events/plain)
	last := first + events - 1
	hub := engine.NewHub(quiet(), engine.WithLog(l), engine.WithEnableResendEvents())
	defer hub.Close()
	for _, strangers := range []int{0, 200} {
		b.Run(fmt.Sprintf("strangers=%d", strangers), func(b *testing.B) {
			var waits []float64
			for b.Loop() {
				var theirs []engine.Subscriber
				for i := range strangers {
					names := make([]string, 1000)
					for k := range names {
						names[k] = fmt.Sprint("topic-", (i*7919+k*31)%topics)
					}
					sub, err := hub.Subscribe(engine.Subscription{Topics: names, LastEventID: wire.FormatID(first), Source: "192.0.2.1"}, discard{})
					if err != nil {
						b.Fatal(err)
					}
					theirs = append(theirs, sub)
				}
				begun := time.Now()
				sink := newAwaited("id: " + wire.FormatID(last) + "\n")
				mine, err := hub.Subscribe(engine.Subscription{LastEventID: wire.FormatID(first), Source: "192.0.2.1"}, sink)
				if err != nil {
					b.Fatal(err)
				}
				<-sink.done
				waits = append(waits, time.Since(begun).Seconds()*1000)
				for _, sub := range append(theirs, mine) {
					sub.Hangup(nil)
				}
				await(b, func() bool { return hub.OnlineClientsNum() == 0 })
			}
			slices.Sort(waits)
			b.ReportMetric(waits[len(waits)/2], "ms-wait")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// fillTopics appends events of 50,000 topics, every step-th and the last for everybody, and returns the ID of the first.
func fillTopics(b *testing.B, l persist.Log, events, topics, step int) uint64 {
	b.Helper()
	const batch = 1000
	recs := make([]persist.Record, 0, batch)
	for i := range events {
		r := persist.Record{ID: firstEvent + uint64(i), Time: 1, Topic: fmt.Sprint("topic-", i%topics)}
		if i%step == 0 || i == events-1 {
			r.Topic = ""
		}
		r.Frame = []byte("id: " + wire.FormatID(r.ID) + "\ndata: " + payload + "\n\n")
		if recs = append(recs, r); len(recs) == batch {
			if err := l.Append(b.Context(), recs); err != nil {
				b.Fatal(err)
			}
			recs = recs[:0]
		}
	}
	return firstEvent
}

// BenchmarkOfflineCrowd: what does one push to 10,000 users cost, of whom nobody is there, with a failure callback?
func BenchmarkOfflineCrowd(b *testing.B) {
	const users = 10_000
	var calls atomic.Int64
	hub := engine.NewHub(quiet(), engine.WithHeartbeat(-1), engine.WithPushFailedHandleFn(func(string, *wire.Event) { calls.Add(1) }))
	defer hub.Close()
	names := make([]string, users)
	for i := range names {
		names[i] = fmt.Sprintf("user-%05d", i)
	}
	e := &wire.Event{Event: "message", Data: payload}
	b.ReportAllocs()
	for b.Loop() {
		calls.Store(0)
		if err := hub.Push(names, e); err != nil {
			b.Fatal(err)
		}
		await(b, func() bool { return calls.Load() == users })
	}
}

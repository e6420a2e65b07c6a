//go:build linux

package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/wire"
)

// The storm: so many clients resume at once, each one topic out of that many, from places of their own.
const (
	stormResumes = 10_000
	stormTopics  = 1000
	stormLive    = 100  // clients that follow what goes on meanwhile
	stormRate    = 1000 // events a second that do
	liveTopic    = "live"
)

// stormSizes are how many events a client is owed: one in three each.
var stormSizes = [...]int{1, 10, 100}

// storming is a client of the storm.
type storming struct {
	start time.Time
	size  int // events that it is owed
	left  int // bytes of them; the shard's, after Subscribe
	took  atomic.Int64
	all   *atomic.Int32 // of the clients, those that have everything
}

func (c *storming) Write(p []byte) (int, error) {
	if c.left > 0 {
		if c.left -= len(p); c.left == 0 {
			c.took.Store(int64(time.Since(c.start)))
			c.all.Add(1)
		}
	} else {
		c.took.Store(-1) // too much
	}
	return len(p), nil
}

func (*storming) Close(error) {}

// listener is a live client, and how late each event of a stretch was.
type listener struct {
	mu   sync.Mutex
	late []time.Duration
}

func (c *listener) Write(p []byte) (int, error) {
	now := time.Now().UnixNano()
	c.mu.Lock()
	defer c.mu.Unlock()
	for frame := range bytes.SplitSeq(p, []byte("\n\n")) {
		if at := bytes.Index(frame, []byte("data: ")); at >= 0 {
			due, _ := strconv.ParseInt(string(frame[at+6:]), 10, 64)
			c.late = append(c.late, time.Duration(now-due))
		}
	}
	return len(p), nil
}

func (*listener) Close(error) {}

// take returns what was late since it was last called.
func (c *listener) take() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	late := c.late
	c.late = nil
	return late
}

// BenchmarkResumeStorm: 10,000 clients resume at once, with topics and positions of their own, while others follow live
// traffic. How long does the last of those that are owed as much wait, beside the median, and what becomes of the live
// events' delays? The sinks are in memory.
func BenchmarkResumeStorm(b *testing.B) {
	dir := b.TempDir()
	size := fillStormLog(b, dir)
	l, err := pebblelog.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	hub := engine.NewHub(quiet(), engine.WithLog(l), engine.WithEnableResendEvents(),
		engine.WithHeartbeat(-1)) // which a slow machine would have to count
	defer hub.Close()
	live := make([]listener, stormLive)
	for i := range live {
		if _, err := hub.Subscribe(engine.Subscription{Topics: []string{liveTopic}, OnlyTopics: true}, &live[i]); err != nil {
			b.Fatal(err)
		}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		pushLive(b, hub, stop)
	}()
	var storms, quietP99, stormP99 []float64
	worst, medians := map[int][]float64{}, map[int][]float64{}
	for b.Loop() {
		quietP99 = append(quietP99, lateDuring(live, func() { <-time.After(span) }))
		var took map[int][]time.Duration
		stormP99 = append(stormP99, lateDuring(live, func() { took = storm10k(b, hub, size) }))
		var last time.Duration
		for n, list := range took {
			slices.Sort(list)
			last = max(last, list[len(list)-1])
			medians[n] = append(medians[n], micros(list[len(list)/2])/1e3)
			worst[n] = append(worst[n], float64(list[len(list)-1])/float64(list[len(list)/2]))
		}
		storms = append(storms, last.Seconds()*1e3)
	}
	close(stop)
	<-stopped
	b.ReportMetric(middle(storms), "all-ms")
	for _, n := range stormSizes {
		b.ReportMetric(middle(medians[n]), fmt.Sprintf("owed=%d-p50-ms", n))
		b.ReportMetric(middle(worst[n]), fmt.Sprintf("owed=%d-last/p50", n))
	}
	b.ReportMetric(middle(quietP99), "live-p99-µs")
	b.ReportMetric(middle(stormP99), "live-storm-p99-µs")
	b.ReportMetric(0, "ns/op")
}

// fillStormLog makes a log in which the topics take turns, and returns the size of a frame.
func fillStormLog(b *testing.B, dir string) (size int) {
	b.Helper()
	l, err := pebblelog.Open(dir, pebblelog.WithSync(false))
	if err != nil {
		b.Fatal(err)
	}
	for from := 0; from < logEvents; from += stormTopics {
		recs := make([]persist.Record, stormTopics)
		for i := range recs {
			id := firstEvent + uint64(from+i)
			frame, err := wire.AppendEvent(nil, &wire.Event{ID: wire.FormatID(id), Event: "message", Data: payload})
			if err != nil {
				b.Fatal(err)
			}
			recs[i], size = persist.Record{ID: id, Topic: "t" + strconv.Itoa(i), Time: 1, Frame: frame}, len(frame)
		}
		if err := l.Append(context.Background(), recs); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	return size
}

// pushLive pushes events that say when they were due.
func pushLive(b *testing.B, hub *engine.Hub, stop <-chan struct{}) {
	begin := time.Now()
	for i := 0; ; i++ {
		due := begin.Add(time.Duration(i) * time.Second / stormRate)
		select {
		case <-stop:
			return
		case <-time.After(time.Until(due)):
		}
		if _, err := hub.PushAsync(nil, &wire.Event{Event: "message", Topic: liveTopic, Data: strconv.FormatInt(due.UnixNano(), 10)}); err != nil {
			b.Error(err)
			return
		}
	}
}

// lateDuring returns the 99th percentile, in microseconds, of how late live events were meanwhile.
func lateDuring(live []listener, do func()) float64 {
	for i := range live {
		live[i].take()
	}
	do()
	var late []time.Duration
	for i := range live {
		late = append(late, live[i].take()...)
	}
	slices.Sort(late)
	return micros(late[len(late)*99/100])
}

// storm10k has all clients resume, and returns how long each waited for the last event that it was owed, by their number.
func storm10k(b *testing.B, hub *engine.Hub, frame int) map[int][]time.Duration {
	b.Helper()
	rounds := logEvents / stormTopics
	rng := rand.New(rand.NewPCG(1, 2))
	var all atomic.Int32
	clients, subs := make([]storming, stormResumes), make([]engine.Subscriber, stormResumes)
	start := time.Now()
	for i := range clients {
		c, topic := &clients[i], rng.IntN(stormTopics)
		c.size, c.start, c.all = stormSizes[i%len(stormSizes)], start, &all
		c.left = c.size * frame
		// Somewhere between two events of its topic.
		after := uint64((rounds-c.size-1)*stormTopics+topic+rng.IntN(stormTopics)) + firstEvent
		sub := engine.Subscription{UID: "u" + strconv.Itoa(i), Topics: []string{"t" + strconv.Itoa(topic)}, OnlyTopics: true, LastEventID: wire.FormatID(after)}
		var err error
		if subs[i], err = hub.Subscribe(sub, c); err != nil {
			b.Fatal(err)
		}
	}
	await(b, func() bool { return int(all.Load()) == len(clients) })
	took := map[int][]time.Duration{}
	for i := range clients {
		d := time.Duration(clients[i].took.Load())
		if d < 0 {
			b.Fatal("a client got more than it was owed")
		}
		took[clients[i].size] = append(took[clients[i].size], d)
		subs[i].Hangup(nil)
	}
	await(b, func() bool { return hub.OnlineClientsNum() == stormLive })
	return took
}

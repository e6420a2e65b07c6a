package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/jetstream"
	"github.com/spatehub/spate/wire"
)

// ledger is what is known of the events.
type ledger struct {
	mu      sync.Mutex
	acked   map[string]uint64 // data to ID
	tried   map[string]bool
	doubted int
	origins []uint64 // of the streams that there were

	seen struct {
		sync.RWMutex
		data map[uint64]string // by ID, as the first client had it
	}
}

func (l *ledger) init() {
	l.acked, l.tried, l.seen.data = map[string]uint64{}, map[string]bool{}, map[uint64]string{}
}

func (l *ledger) try(p push) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range p {
		l.tried[e.data] = true
	}
}

func (l *ledger) acknowledge(p push, ids []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range p {
		l.acked[e.data] = ids[i]
	}
}

func (l *ledger) doubt(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted += n
}

func (l *ledger) acknowledged() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.acked))
}

// see notes what an ID stands for, and says whether that is what it stood for.
func (l *ledger) see(id uint64, data []byte) (was string, same bool) {
	l.seen.RLock()
	was, there := l.seen.data[id]
	l.seen.RUnlock()
	if !there {
		l.seen.Lock()
		defer l.seen.Unlock()
		if was, there = l.seen.data[id]; !there {
			was = string(data)
			l.seen.data[id] = was
		}
	}
	return was, was == string(data)
}

// openStream opens the stream, or makes it.
func openStream(ctx context.Context, url string) (*nats.Conn, *jetstream.Stream, error) {
	nc, err := nats.Connect(url, jetstream.ConnOptions()...)
	if err != nil {
		return nil, nil, err
	}
	for {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		s, err := jetstream.Open(try, nc)
		cancel()
		if err == nil {
			return nc, s, nil
		}
		select {
		case <-ctx.Done():
			nc.Close()
			return nil, nil, errors.Join(ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// streamBegins notes where the stream of the moment begins, which it makes if it is not there.
func (l *ledger) streamBegins(ctx context.Context, url string) error {
	nc, s, err := openStream(ctx, url)
	if err != nil {
		return err
	}
	defer nc.Close()
	for {
		origin, err := s.Origin(ctx)
		if err == nil {
			l.mu.Lock()
			l.origins = append(l.origins, origin)
			l.mu.Unlock()
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		<-time.After(50 * time.Millisecond)
	}
}

// stream returns which of the streams that took each other's place gave an ID.
func (l *ledger) stream(id uint64) int {
	n, _ := slices.BinarySearch(l.origins, id)
	return n
}

// committed returns the events of the run in the stream, by ID.
func committed(url string) (map[uint64]string, error) {
	all := map[uint64]string{}
	err := readStream(url, func(e *cluster.Entry) {
		if e.Event.Event == "run" {
			all[e.ID] = string(e.Event.Data.([]byte))
		}
	})
	return all, err
}

// readStream reads the stream from its beginning to where it is now.
func readStream(url string, fn func(*cluster.Entry)) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	nc, s, err := openStream(ctx, url)
	if err != nil {
		return err
	}
	defer nc.Close()
	origin, err := s.Origin(ctx)
	if err != nil {
		return err
	}
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	done := errors.New("done")
	err = s.Follow(ctx, origin, func(p cluster.Page) error {
		for i := range p.Entries {
			fn(&p.Entries[i])
		}
		if p.UpTo >= head {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		return fmt.Errorf("reading what was committed: %w", err)
	}
	return nil
}

// audienceOf is whom the data of an event says it is for.
func audienceOf(data string) string {
	if strings.HasPrefix(data, "the ") {
		return "all"
	}
	return data[strings.LastIndexByte(data, ' ')+1:]
}

// whole returns all events by ID. Where nothing is ever lost that is what is in the
// stream, and nobody may have seen another one; else what anybody has heard of.
func (r *run) whole() map[uint64]string {
	l := &r.ledger
	want := maps.Clone(l.seen.data)
	if r.lossy {
		for data, id := range l.acked {
			want[id] = data
		}
		return want
	}
	kept, err := committed(r.nats.URL())
	if err != nil {
		r.p.Error(err)
		return want
	}
	for id, data := range want {
		if kept[id] != data {
			r.p.Error("a client got", id, data, "and the stream has", kept[id])
		}
	}
	return kept
}

// verify sees whether everybody has what is for it, and that is what was acknowledged.
func (r *run) verify(all []*roamer, took time.Duration) {
	l := &r.ledger
	want, byData := r.whole(), map[string]uint64{}
	for id, data := range want {
		if was := byData[data]; was != 0 && l.stream(was) == l.stream(id) {
			r.p.Error(data, "is there twice:", was, id)
		}
		if !l.tried[data] {
			r.p.Error("nobody pushed", data)
		}
		byData[data] = id
	}
	for data, id := range l.acked {
		if want[id] != data {
			r.p.Error(data, "was acknowledged as", id, "and that is", want[id], "; it is", byData[data])
		}
	}
	ids := slices.Sorted(maps.Keys(want))
	gaps := 0
	for i, c := range all {
		gaps += len(c.gaps)
		c.verify(i, ids, want)
	}
	if gaps > 0 && !r.lossy {
		r.p.Error(gaps, "gaps were told, and nothing is missing")
	}
	if r.presence {
		r.verifyPresence()
	}
	verdict := "every client has every event that is for it once"
	switch {
	case r.p.faults.any():
		verdict = fmt.Sprintf("FAILED, with %d faults", r.p.faults.n)
	case r.lossy:
		verdict = "every client has every event that is for it once, or was told of a gap"
	}
	fmt.Printf("%s: seed %d, %v, %d events, %d acknowledged, %d in doubt; %d clients, %d deliveries, %d moves, %d gaps; %s\n",
		verdict, r.seed, took.Round(time.Second), len(want), len(l.acked), l.doubted, len(all), r.got.Load(), r.moves.Load(), gaps, r.failures.String())
}

// verify compares what a client has with what is for it. ids are those of want, rising.
func (c *roamer) verify(i int, ids []uint64, want map[uint64]string) {
	have := c.ids
	for _, id := range ids {
		data := want[id]
		if data == "the beginning" || !c.wants[audienceOf(data)] {
			continue
		}
		for len(have) > 0 && have[0] < id {
			c.r.p.Error("client", i, "has", have[0], "which is", want[have[0]])
			have = have[1:]
		}
		switch {
		case len(have) > 0 && have[0] == id:
			have = have[1:]
		case !c.told(id):
			c.r.p.Error("client", i, c.query, "has not", id, data)
		}
	}
	for _, id := range have {
		c.r.p.Error("client", i, "has", id, "which is", want[id])
	}
}

// told says whether a gap told that an ID is missing.
func (c *roamer) told(id uint64) bool {
	for _, g := range c.gaps {
		from, _ := wire.ParseID(g.From)
		if to, err := wire.ParseID(g.To); err == nil && from < id && id <= to {
			return true
		}
	}
	return false
}

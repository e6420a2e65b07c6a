package jetstream

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// Pushes at one time are sent as one batch: to the servers it is one step and one answer.
// Each has its own tokens, so that it does not matter to any of them what becomes of the
// batch: where it is refused, or nobody knows, each is published by itself, and is there
// once.

const (
	// groupFlights is how many groups are under way. While there are fewer, a push
	// goes at once, by itself: who publishes alone waits for nobody.
	groupFlights = 2
	groupMost    = 128       // messages of a group of several pushes
	groupBytes   = 512 << 10 // likewise
)

// group is the pushes that wait for their turn.
type group struct {
	mu      sync.Mutex
	waiting []*grouped
	flights int
}

// grouped is one push of a group.
type grouped struct {
	msgs    []*nats.Msg
	size    int               // in bytes
	outcome chan groupOutcome // of capacity 1
}

// groupOutcome is what became of a group.
type groupOutcome struct {
	committed bool
	unknown   bool // else nothing of it was added
}

// publishGrouped adds the messages of a push, which have their tokens, with others that
// wait.
func (s *Stream) publishGrouped(ctx context.Context, msgs []*nats.Msg) error {
	g := &s.group
	g.mu.Lock()
	if g.flights < groupFlights && len(g.waiting) == 0 {
		g.flights++
		g.mu.Unlock()
		err := s.publishAlone(ctx, msgs)
		s.land()
		return err
	}
	p := &grouped{msgs: msgs, outcome: make(chan groupOutcome, 1)}
	for _, m := range msgs {
		p.size += m.Size()
	}
	g.waiting = append(g.waiting, p)
	g.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err() // it may go yet, or have gone
	case o := <-p.outcome:
		if o.committed {
			return nil
		}
		for _, m := range msgs {
			for _, key := range []string{jetstreamext.BatchIDHeader, jetstreamext.BatchSeqHeader, jetstreamext.BatchCommitHeader} {
				m.Header.Del(key)
			}
		}
		err := s.publishAlone(ctx, msgs)
		if err != nil && o.unknown {
			return &errNotRefused{err}
		}
		return err
	}
}

// errNotRefused is an error that says nothing of an earlier try.
type errNotRefused struct{ err error }

func (e *errNotRefused) Error() string { return e.err.Error() }

// publishAlone adds the messages of one push.
func (s *Stream) publishAlone(ctx context.Context, msgs []*nats.Msg) error {
	if len(msgs) > 1 {
		return verdict(s.publishBatch(ctx, msgs))
	}
	_, err := s.js.PublishMsg(ctx, msgs[0], jetstream.WithExpectStream(s.cfg.name), jetstream.WithRetryAttempts(0))
	return verdict(err)
}

// land ends a flight, or has the next group go in its place.
func (s *Stream) land() {
	if some := s.group.next(); some != nil {
		go func() {
			for ; some != nil; some = s.group.next() {
				s.fly(some)
			}
		}()
	}
}

// next takes the next group off; nil ends the flight.
func (g *group) next() []*grouped {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, msgs, bytes := 0, 0, 0
	for ; n < len(g.waiting); n++ {
		msgs += len(g.waiting[n].msgs)
		bytes += g.waiting[n].size
		if n > 0 && (msgs > groupMost || bytes > groupBytes) {
			break
		}
	}
	if n == 0 {
		g.waiting = nil
		g.flights--
		return nil
	}
	some := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return some
}

// fly publishes a group, and tells each of it what became of it.
func (s *Stream) fly(some []*grouped) {
	var o groupOutcome
	if len(some) > 1 { // else it is published by who waits
		var msgs []*nats.Msg
		for _, p := range some {
			msgs = append(msgs, p.msgs...)
		}
		ctx, cancel := context.WithTimeout(context.Background(), apiTimeout)
		err := s.publishBatch(ctx, msgs)
		cancel()
		o = groupOutcome{committed: err == nil, unknown: err != nil && apiError(err) == nil}
	}
	for _, p := range some {
		p.outcome <- o
	}
}

// publishBatch adds messages, all or none, once there is room for a batch.
func (s *Stream) publishBatch(ctx context.Context, msgs []*nats.Msg) error {
	select {
	case s.batches <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.batches }()
	_, err := jetstreamext.PublishMsgBatch(ctx, s.js, msgs, inOneGo)
	return err
}

// inOneGo sends a batch without waiting for its first message to be taken: the answer
// to the last one says what was wrong with any.
var inOneGo = jetstreamext.BatchFlowControl{AckTimeout: apiTimeout}

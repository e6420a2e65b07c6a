package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/spatehub/spate/cluster"
)

const (
	// heartbeat is how often a server that has nothing to send says so. After two that
	// are missing the following begins anew.
	heartbeat = 500 * time.Millisecond
	pullTime  = 30 * time.Second

	// What is asked for ahead, and what waits between NATS' goroutine and the node's.
	pullMessages = 2000
	pullBytes    = 16 << 20
	waitMessages = 1024

	maxPage = 512 // messages
)

// Follow implements [cluster.Orderer], by a consumer of its own that is in one server's
// memory and goes soon after it is left. Every message that comes is numbered by it, so
// that one which does not come is found out about.
func (s *Stream) Follow(ctx context.Context, after uint64, fn func(cluster.Page) error) error {
	base := s.base.Load()
	if after < base {
		return fmt.Errorf("jetstream: ID %d is before the stream", after)
	}
	fleeting := make(chan *nats.Msg, waitMessages)
	sub, err := s.nc.ChanSubscribe(s.cfg.name+".e", fleeting)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	f := &following{s: s, base: base, next: after - base + 1, msgs: make(chan jetstream.Msg, waitMessages), failed: make(chan error, 1), done: make(chan struct{})}
	stop, err := f.begin(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for {
		var page cluster.Page
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-f.failed:
			return err
		case m := <-fleeting:
			page = f.empty()
			f.addFleeting(&page, m)
		case m := <-f.msgs:
			if page, err = f.page(m, fn); err != nil {
				return err
			}
		}
		if err := fn(page); err != nil {
			return err
		}
	}
}

// following is one Follow under way.
type following struct {
	s        *Stream
	base     uint64
	next     uint64 // sequence of the stream
	consumed uint64 // sequence of the consumer
	msgs     chan jetstream.Msg
	failed   chan error
	done     chan struct{} // closed when nobody reads msgs any more
}

// begin makes the consumer and has its messages come.
func (f *following) begin(ctx context.Context) (stop func(), err error) {
	try, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	c, err := f.s.js.CreateConsumer(try, f.s.cfg.name, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.next,
		Replicas: 1, MemoryStorage: true, InactiveThreshold: 10 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	fail := func(err error) {
		select {
		case f.failed <- err:
		default:
		}
	}
	consuming, err := c.Consume(func(m jetstream.Msg) {
		select {
		case f.msgs <- m:
		case <-f.done:
		}
	}, jetstream.PullMaxMessagesWithBytesLimit(pullMessages, pullBytes), jetstream.PullHeartbeat(heartbeat), jetstream.PullExpiry(pullTime),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			f.s.cfg.logger.Log(ctx, slog.LevelDebug, "jetstream: following", "err", err)
			if !errors.Is(err, jetstream.ErrMaxBytesExceeded) { // of a pull that a large message did not fit into; the next one has room
				fail(err)
			}
		}))
	if err != nil {
		return nil, err
	}
	return func() {
		close(f.done)
		consuming.Stop()
		<-consuming.Closed()
	}, nil
}

// empty is a page that ends where it begins.
func (f *following) empty() cluster.Page {
	at := f.base + f.next - 1
	return cluster.Page{After: at, UpTo: at}
}

// page puts what has come into a page. Where a message is missing before a later one, it
// hands the part before to fn.
func (f *following) page(m jetstream.Msg, fn func(cluster.Page) error) (cluster.Page, error) {
	page := f.empty()
	for n := 1; ; n++ {
		meta, err := m.Metadata()
		if err != nil {
			return page, err
		}
		if f.consumed++; meta.Sequence.Consumer != f.consumed {
			return page, fmt.Errorf("jetstream: message %d of the consumer came as %d", meta.Sequence.Consumer, f.consumed)
		}
		if seq := meta.Sequence.Stream; seq != f.next {
			if seq < f.next {
				return page, fmt.Errorf("jetstream: sequence %d after %d", seq, f.next-1)
			}
			if len(page.Entries)+len(page.Notes)+len(page.Values) > 0 {
				if err := fn(page); err != nil {
					return page, err
				}
			}
			f.next = seq // what is between is gone from the stream
			page = f.empty()
		}
		f.next++
		page.UpTo = f.base + meta.Sequence.Stream
		if err := f.add(&page, m, meta); err != nil {
			return page, err
		}
		if n == maxPage {
			return page, nil
		}
		next := f.nextOf(m)
		if next == nil {
			return page, nil
		}
		m = next
	}
}

// batchPatience is how long a page waits for the rest of a batch: it is committed, and
// comes.
const batchPatience = 20 * time.Millisecond

// nextOf returns the message behind m if it is there; nil: it is not. Behind one that is
// not the last of its batch it is waited for: connections get in one go what comes in one
// page.
func (f *following) nextOf(m jetstream.Msg) jetstream.Msg {
	select {
	case next := <-f.msgs:
		return next
	default:
	}
	if h := m.Headers(); h.Get(jetstreamext.BatchIDHeader) == "" || h.Get(jetstreamext.BatchCommitHeader) != "" {
		return nil
	}
	over := time.NewTimer(batchPatience)
	defer over.Stop()
	select {
	case next := <-f.msgs:
		return next
	case <-over.C:
		return nil
	}
}

// add adds a message to its page, unless it is none of ours.
func (f *following) add(page *cluster.Page, m jetstream.Msg, meta *jetstream.MsgMetadata) error {
	if m.Subject() == f.s.cfg.name+".h" {
		if note, is := noteOf(m, page.UpTo, meta.Timestamp); is {
			page.Notes = append(page.Notes, note)
		}
		return nil
	}
	if v, is := f.s.cfg.valueOf(m, meta.Sequence.Stream); is {
		page.Values = append(page.Values, v)
		return nil
	}
	e, err := f.s.cfg.decode(m.Subject(), m.Headers(), m.Data())
	if err != nil {
		return f.foreign(err, page.UpTo)
	}
	page.Entries = append(page.Entries, cluster.Entry{ID: page.UpTo, Token: tokenOf(m.Headers()), Event: e})
	return nil
}

// foreign passes over a message that is no event, and stops at one of a later version.
func (f *following) foreign(err error, id uint64) error {
	if newer := (*errNewer)(nil); errors.As(err, &newer) {
		f.s.cfg.logger.Error("jetstream: can't go on", "err", err, "id", id)
		return err
	}
	f.s.cfg.logger.Error("jetstream: a message in the stream is no event; it is passed over", "id", id, "err", err)
	return nil
}

// addFleeting adds an ephemeral event.
func (f *following) addFleeting(page *cluster.Page, m *nats.Msg) {
	e, err := f.s.cfg.decode(m.Header.Get(headSubject), m.Header, m.Data)
	if err != nil {
		f.s.cfg.logger.Error("jetstream: an ephemeral message is no event; it is passed over", "err", err)
		return
	}
	page.Entries = append(page.Entries, cluster.Entry{Event: e})
}

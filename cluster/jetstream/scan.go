package jetstream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// scan is a reading of a stream, of what is there and what comes meanwhile, up to an end.
type scan struct {
	stream   string
	consumer jetstream.ConsumerConfig

	// end adds a message that the consumer selects, and returns its sequence. It is called
	// once the consumer is there, so that all which that selects, and nothing else, lies
	// before it.
	end func(ctx context.Context) (uint64, error)

	// settled has the reading go on behind the end, until nothing waits: where the stream
	// keeps one message of a subject, one that was replaced meanwhile comes behind it.
	settled bool
}

// pageWait is how long a page is waited for.
const pageWait = time.Second

// scan calls fn with the messages of a scan. What was committed before the call is among
// them.
func (s *Stream) scan(ctx context.Context, of scan, fn func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	of.consumer.AckPolicy, of.consumer.Replicas, of.consumer.MemoryStorage, of.consumer.InactiveThreshold = jetstream.AckNonePolicy, 1, true, 10*time.Second
	c, err := s.js.CreateConsumer(ctx, of.stream, of.consumer)
	if err != nil {
		return err
	}
	last, err := of.end(ctx)
	if err != nil {
		return err
	}
	r := reading{consumer: c, last: last, settled: of.settled, fn: fn}
	for {
		if done, err := r.page(ctx); done || err != nil {
			return err
		}
	}
}

// reading is a scan under way.
type reading struct {
	consumer jetstream.Consumer
	last     uint64 // sequence of the end
	settled  bool
	fn       func(jetstream.Msg, *jetstream.MsgMetadata) error

	consumed uint64 // messages
	reached  bool   // the end
}

// page reads a page of messages, or what comes of it in pageWait.
func (r *reading) page(ctx context.Context) (done bool, err error) {
	try, cancel := context.WithTimeout(ctx, pageWait)
	defer cancel()
	batch, err := r.consumer.Fetch(500, jetstream.FetchContext(try))
	if err != nil {
		return false, err
	}
	some := false
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return false, err
		}
		if r.consumed++; meta.Sequence.Consumer != r.consumed {
			return false, errors.New("jetstream: a message was lost on its way; try again")
		}
		if err := r.fn(m, meta); err != nil {
			return false, err
		}
		some, r.reached = true, r.reached || meta.Sequence.Stream >= r.last
		if r.reached && (!r.settled || meta.NumPending == 0) {
			return true, nil
		}
	}
	if err := batch.Error(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return false, err
	}
	return r.reached && !some, ctx.Err()
}

// scanEvents is scan of the stream of events, up to a question for its end.
func (s *Stream) scanEvents(ctx context.Context, consumer jetstream.ConsumerConfig, fn func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	end := func(ctx context.Context) (uint64, error) {
		head, err := s.Head(ctx)
		return head - s.base.Load(), err
	}
	return s.scan(ctx, scan{stream: s.cfg.name, consumer: consumer, end: end}, fn)
}

package jetstream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// scan calls fn with messages of the stream up to a question for its end, which has to be
// among those that the consumer selects. What was committed before the call is among them.
func (s *Stream) scan(ctx context.Context, consumer jetstream.ConsumerConfig, fn func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	return s.scanTo(ctx, s.cfg.name, head-s.base.Load(), consumer, fn)
}

// scanTo calls fn with messages of a stream up to a sequence, or one behind it.
func (s *Stream) scanTo(ctx context.Context, stream string, last uint64, consumer jetstream.ConsumerConfig, fn func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	consumer.AckPolicy, consumer.Replicas, consumer.MemoryStorage, consumer.InactiveThreshold = jetstream.AckNonePolicy, 1, true, 10*time.Second
	c, err := s.js.CreateConsumer(ctx, stream, consumer)
	if err != nil {
		return err
	}
	for consumed := uint64(0); ; {
		batch, err := c.Fetch(500, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			return err
		}
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			if consumed++; meta.Sequence.Consumer != consumed {
				return errors.New("jetstream: a message was lost on its way; try again")
			}
			if err := fn(m, meta); err != nil {
				return err
			}
			if meta.Sequence.Stream >= last {
				return nil
			}
		}
		if err := errors.Join(batch.Error(), ctx.Err()); err != nil {
			return err
		}
	}
}

package jetstream

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// A note has the subject of what is no event, so that a node of an earlier version passes
// it over, and that notes are found without what is between them.

var _ cluster.Noter = (*Stream)(nil)

// headNote says that a message is a note.
const headNote = "Spate-Note"

// PublishNoted implements [cluster.Noter].
func (s *Stream) PublishNoted(ctx context.Context, token string, note []byte, events []*wire.Event) error {
	logged, fleeting, err := s.messages(events)
	if err != nil {
		return err
	}
	head := &nats.Msg{Subject: s.cfg.name + ".h", Header: nats.Header{headFormat: {strconv.Itoa(format)}, headNote: {"1"}}, Data: note}
	msgs := append([]*nats.Msg{head}, logged...)
	if len(msgs) > maxBatch {
		return fmt.Errorf("%w: %w: %d events with a key, and a batch has at most %d", cluster.ErrRefused, engine.ErrTooMany, len(logged), maxBatch-1)
	}
	number(token, msgs) // also of one: another push with the token may have several
	var there bool
	if len(msgs) == 1 {
		var ack *jetstream.PubAck
		ack, err = s.js.PublishMsg(ctx, head, jetstream.WithExpectStream(s.cfg.name), jetstream.WithRetryAttempts(0))
		there = err == nil && ack.Duplicate
	} else {
		err = s.publishBatch(ctx, msgs)
		api := apiError(err)
		there = api != nil && api.ErrorCode == codeDuplicateBatch
	}
	if err := verdict(err); err != nil || there {
		return err
	}
	return s.pass(fleeting, false)
}

// noteOf returns the note of a message that is no event; false: it is none.
func noteOf(m jetstream.Msg, id uint64, at time.Time) (cluster.Note, bool) {
	h := m.Headers()
	if h.Get(headNote) == "" {
		return cluster.Note{}, false
	}
	return cluster.Note{ID: id, Token: tokenOf(h), Time: at, Data: m.Data()}, true
}

// Notes implements [cluster.Noter]. It reads what is no event, which is little, up to a
// question for the stream's end.
func (s *Stream) Notes(ctx context.Context, since time.Time, fn func(cluster.Note) error) error {
	return s.scanEvents(ctx, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since, FilterSubject: s.cfg.name + ".h"}, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		if note, is := noteOf(m, s.base.Load()+meta.Sequence.Stream, meta.Timestamp); is {
			return fn(note)
		}
		return nil
	})
}

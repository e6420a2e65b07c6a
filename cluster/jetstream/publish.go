package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// maxBatch is what a server takes as one batch.
const maxBatch = 1000

// headSubject is what the subject would be of an ephemeral event, all of which have one.
const headSubject = "Spate-Subject"

// Publish implements [cluster.Orderer].
func (s *Stream) Publish(ctx context.Context, token string, events []*wire.Event) error {
	logged, fleeting, err := s.messages(events)
	if err != nil {
		return err
	}
	if err := s.commit(ctx, token, logged); err != nil {
		return err
	}
	return s.pass(fleeting, len(logged) == 0)
}

// messages makes the messages of events that are to be kept, and of ephemeral ones.
func (s *Stream) messages(events []*wire.Event) (logged, fleeting []*nats.Msg, err error) {
	for _, e := range events {
		m, err := s.cfg.encode(e)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", cluster.ErrRefused, err)
		}
		if m.Size() > int(s.nc.MaxPayload()) && s.nc.MaxPayload() > 0 {
			return nil, nil, fmt.Errorf("%w: %w: a message of %d bytes, and NATS takes %d", cluster.ErrRefused, engine.ErrTooLarge, m.Size(), s.nc.MaxPayload())
		}
		if e.Ephemeral {
			m.Header[headSubject] = []string{m.Subject}
			m.Subject = s.cfg.name + ".e"
			fleeting = append(fleeting, m)
		} else {
			logged = append(logged, m)
		}
	}
	return logged, fleeting, nil
}

// pass sends ephemeral events. They may fail, unless there is nothing else.
func (s *Stream) pass(fleeting []*nats.Msg, all bool) error {
	for _, m := range fleeting {
		if err := s.nc.PublishMsg(m); err != nil && all {
			return err
		}
	}
	return nil
}

// commit adds messages to the stream.
func (s *Stream) commit(ctx context.Context, token string, msgs []*nats.Msg) error {
	switch {
	case len(msgs) == 0:
		return nil
	case len(msgs) > maxBatch:
		return fmt.Errorf("%w: %w: %d events, and a batch has at most %d", cluster.ErrRefused, engine.ErrTooMany, len(msgs), maxBatch)
	case len(msgs) == 1:
		msgs[0].Header[jetstream.MsgIDHeader] = []string{token}
	default:
		number(token, msgs)
	}
	return s.publishGrouped(ctx, msgs)
}

// number gives each message of a batch a token of its own.
func number(token string, msgs []*nats.Msg) {
	for i, m := range msgs {
		m.Header[jetstream.MsgIDHeader] = []string{token + tokenPart + strconv.Itoa(i)}
	}
}

// batchesAtOnce bounds the batches that a hub has under way: a server takes 50 of a
// stream, and refuses more.
const batchesAtOnce = 16

// tokenPart separates a token from the place in its batch.
const tokenPart = "/"

// tokenOf returns the token of a message.
func tokenOf(h nats.Header) string {
	token, _, _ := strings.Cut(h.Get(jetstream.MsgIDHeader), tokenPart)
	return token
}

// Codes of errors of the server.
const (
	codeDuplicateBatch jetstream.ErrorCode = 10201 // its token is there: an earlier try came through
	codeTooLarge       jetstream.ErrorCode = 10054
	codeIncomplete     jetstream.ErrorCode = 10176 // a part of the batch was not taken, so that the whole is not
)

// verdict says what an error means for what was published.
func verdict(err error) error {
	if err == nil {
		return nil
	}
	api := apiError(err)
	switch {
	case api != nil && api.ErrorCode == codeDuplicateBatch:
		return nil
	case api != nil && api.ErrorCode == codeTooLarge, errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %w: %w", cluster.ErrRefused, engine.ErrTooLarge, err)
	case api != nil && api.ErrorCode == codeIncomplete:
		return err // as after a change of leaders
	case api != nil && api.Code == 400:
		return fmt.Errorf("%w: %w", cluster.ErrRefused, err)
	}
	return err
}

// apiError returns what the server has said; nil: nothing.
func apiError(err error) *jetstream.APIError {
	var api *jetstream.APIError
	var js jetstream.JetStreamError
	if !errors.As(err, &api) && errors.As(err, &js) {
		api = js.APIError()
	}
	return api
}

package jetstream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/wire"
)

// The value of a name is the last message of a subject of its own. The servers add the
// next one only if that is still the last.

var _ cluster.Registry = (*Stream)(nil)

func (c *config) valueSubject(name string) string {
	return c.name + ".p." + base64.RawURLEncoding.EncodeToString([]byte(name))
}

// lacksValues says whether a stream has all subjects but those of values: a hub of an
// earlier release made it.
func (c *config) lacksValues(have *jetstream.StreamConfig) bool {
	want := c.wanted().Subjects
	return len(have.Subjects) == len(want)-1 && !slices.ContainsFunc(want, func(subject string) bool {
		return subject != c.name+".p.*" && !slices.Contains(have.Subjects, subject)
	})
}

// addValues gives a stream the subjects of values.
func (s *Stream) addValues(ctx context.Context, have jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	have.Subjects = append(slices.Clone(have.Subjects), s.cfg.name+".p.*")
	st, err := s.js.UpdateStream(ctx, have)
	if err != nil {
		return nil, err
	}
	return st.CachedInfo(), nil
}

// valueOf returns the value that a message of the stream is; false: it is none.
func (c *config) valueOf(m jetstream.Msg, seq uint64) (cluster.Value, bool) {
	text, is := strings.CutPrefix(m.Subject(), c.name+".p.")
	if !is {
		return cluster.Value{}, false
	}
	name, err := base64.RawURLEncoding.DecodeString(text)
	return cluster.Value{Name: string(name), Version: seq, Data: m.Data()}, err == nil
}

// Value implements [cluster.Registry].
func (s *Stream) Value(ctx context.Context, name string) (cluster.Value, error) {
	st, err := s.handle(ctx)
	if err != nil {
		return cluster.Value{}, err
	}
	m, err := st.GetLastMsgForSubject(ctx, s.cfg.valueSubject(name))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return cluster.Value{Name: name}, nil
	}
	if err != nil {
		return cluster.Value{}, err
	}
	return cluster.Value{Name: name, Version: m.Sequence, Data: m.Data}, nil
}

// handle returns what the stream is asked by. It is kept: to make one is a question.
func (s *Stream) handle(ctx context.Context) (jetstream.Stream, error) {
	if st := s.asked.Load(); st != nil {
		return *st, nil
	}
	st, err := s.js.Stream(ctx, s.cfg.name)
	if err == nil {
		s.asked.Store(&st)
	}
	return st, err
}

// Codes of the errors of a message whose subject has another last one.
const (
	codeWrongLast        jetstream.ErrorCode = 10071
	codeWrongLastUnknown jetstream.ErrorCode = 10164 // another one is under way
)

// Change implements [cluster.Registry].
func (s *Stream) Change(ctx context.Context, name string, version uint64, data []byte, events []*wire.Event) error {
	logged, _, err := s.messages(events)
	if err != nil {
		return err
	}
	head := &nats.Msg{Subject: s.cfg.valueSubject(name), Data: data, Header: nats.Header{
		headFormat: {strconv.Itoa(format)}, jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(version, 10)},
	}}
	if len(logged) == 0 {
		_, err = s.js.PublishMsg(ctx, head, jetstream.WithExpectStream(s.cfg.name), jetstream.WithRetryAttempts(0))
	} else {
		err = s.publishBatch(ctx, append([]*nats.Msg{head}, logged...))
	}
	if api := apiError(err); api != nil && (api.ErrorCode == codeWrongLast || api.ErrorCode == codeWrongLastUnknown) {
		return fmt.Errorf("%w: %w", cluster.ErrChanged, err)
	}
	return verdict(err)
}

// Values implements [cluster.Registry]. It reads the last message of each name, however
// many there have been, and what comes meanwhile.
func (s *Stream) Values(ctx context.Context, fn func(cluster.Value) error) error {
	return s.scanEvents(ctx, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: []string{s.cfg.name + ".p.*", s.cfg.name + ".h"}}, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		if v, is := s.cfg.valueOf(m, meta.Sequence.Stream); is {
			return fn(v)
		}
		return nil
	})
}

// Kept implements [cluster.Registry].
func (s *Stream) Kept() cluster.Kept {
	if kept := s.kept.Load(); kept != nil {
		return *kept
	}
	return cluster.Kept{}
}

package jetstream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spatehub/spate/cluster"
)

// The board is a stream beside the one of events, which keeps the last message of each
// subject until its own time is over. It is made by who first asks for it.

var _ cluster.Board = (*Stream)(nil)

func (c *config) boardName() string { return c.name + "-board" }

func (c *config) boardSubject(key string) string {
	return c.name + ".k." + base64.RawURLEncoding.EncodeToString([]byte(key))
}

// boardEnd is the subject of a question for the board's end; no key has it.
func (c *config) boardEnd() string { return c.name + ".k.-" }

func (c *config) wantedBoard(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: c.boardName(), Description: "what a cluster of spate hubs keeps beside events",
		Subjects: []string{c.name + ".k.*"}, Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld,
		Replicas: replicas, MaxMsgsPerSubject: 1, MaxMsgs: -1, MaxBytes: -1, DenyDelete: true, AllowMsgTTL: true,
	}
}

// boardDifferences lists what of a board does not do.
func (c *config) boardDifferences(have *jetstream.StreamConfig) (diff []string) {
	want := c.wantedBoard(have.Replicas)
	say := func(differs bool, what string, have, want any) {
		if differs {
			diff = append(diff, fmt.Sprintf("%s is %v, not %v", what, have, want))
		}
	}
	say(!slices.Equal(have.Subjects, want.Subjects), "subjects", have.Subjects, want.Subjects)
	say(have.Retention != want.Retention, "retention", have.Retention, want.Retention)
	say(have.Storage != want.Storage, "storage", have.Storage, want.Storage)
	say(have.MaxMsgsPerSubject != 1, "max_msgs_per_subject", have.MaxMsgsPerSubject, 1)
	say(have.MaxMsgs > 0, "max_msgs", have.MaxMsgs, "unlimited")
	say(have.MaxAge != 0, "max_age", have.MaxAge, "unlimited")
	say(!have.AllowMsgTTL, "allow_msg_ttl", have.AllowMsgTTL, true)
	return diff
}

// prepareBoard makes the board, or checks the one that is there.
func (s *Stream) prepareBoard(ctx context.Context) error {
	if s.board.Load() {
		return nil
	}
	info, err := s.info(ctx)
	if err != nil {
		return err
	}
	_, err = s.js.CreateStream(ctx, s.cfg.wantedBoard(info.Config.Replicas))
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		var st jetstream.Stream
		if st, err = s.js.Stream(ctx, s.cfg.boardName()); err == nil {
			if diff := s.cfg.boardDifferences(&st.CachedInfo().Config); len(diff) > 0 {
				err = fmt.Errorf("%w from what a cluster of hubs needs: %s: %s", ErrDiffers, s.cfg.boardName(), strings.Join(diff, "; "))
			}
		}
	}
	if err == nil {
		s.board.Store(true)
	}
	return err
}

// toBoard adds a message to the board, and returns its sequence.
func (s *Stream) toBoard(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (uint64, error) {
	if err := s.prepareBoard(ctx); err != nil {
		return 0, err
	}
	ack, err := s.js.PublishMsg(ctx, m, append(opts, jetstream.WithExpectStream(s.cfg.boardName()), jetstream.WithRetryAttempts(0))...)
	if err != nil {
		s.board.Store(false) // it may be gone
		return 0, err
	}
	return ack.Sequence, nil
}

// Post implements [cluster.Board].
func (s *Stream) Post(ctx context.Context, key string, text []byte, until time.Time) error {
	var opts []jetstream.PublishOpt
	if !until.IsZero() {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		opts = append(opts, jetstream.WithMsgTTL(left.Truncate(time.Second)+time.Second)) // servers count seconds
	}
	_, err := s.toBoard(ctx, &nats.Msg{Subject: s.cfg.boardSubject(key), Data: text}, opts...)
	return err
}

// Posted implements [cluster.Board].
func (s *Stream) Posted(ctx context.Context, fn func(key string, text []byte) error) error {
	if err := s.prepareBoard(ctx); err != nil {
		return err
	}
	end := func(ctx context.Context) (uint64, error) { return s.toBoard(ctx, &nats.Msg{Subject: s.cfg.boardEnd()}) }
	of := scan{stream: s.cfg.boardName(), consumer: jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}, end: end, settled: true}
	err := s.scan(ctx, of, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		key, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(m.Subject(), s.cfg.name+".k."))
		if err != nil || m.Subject() == s.cfg.boardEnd() {
			return nil
		}
		return fn(string(key), m.Data())
	})
	if err != nil {
		s.board.Store(false) // it may be gone
	}
	return err
}

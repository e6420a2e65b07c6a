package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spatehub/spate/cluster"
)

// Keys of the stream's metadata. The base is fixed for the stream's life. A stream that
// was put back from a backup gets a new base, and the sequence after which events count:
// what is before has other IDs, by which hubs have it already.
const (
	metaBase   = "spate_base"
	metaFrom   = "spate_from"
	metaFormat = "spate_format"
)

// tokenWindow is how long the stream remembers tokens. A push gives up earlier.
const tokenWindow = 2 * time.Minute

// apiTimeout bounds the steps of calls whose context has no end.
const apiTimeout = 2 * time.Second

// idTick is the time for one ID, as hubs count by themselves: so a hub that joins a
// cluster later has no higher IDs.
const idTick = 250 * time.Nanosecond

// Stream is a [cluster.Orderer] on a stream of JetStream. It does not own the
// connection.
type Stream struct {
	cfg *config
	nc  *nats.Conn
	js  jetstream.JetStream

	batches chan struct{} // room for those under way
	group   group

	prepared atomic.Bool
	board    atomic.Bool                      // its stream is there
	asked    atomic.Pointer[jetstream.Stream] // nil: not yet

	base atomic.Uint64                // of the stream there is, when somebody last looked
	kept atomic.Pointer[cluster.Kept] // likewise; nil: nobody has
}

var _ cluster.Orderer = (*Stream)(nil)

// ErrDiffers is part of the error of Open where the stream that is there is not one for
// a cluster of hubs. The text says all that differs.
var ErrDiffers = errors.New("jetstream: the stream differs")

// Open makes the stream, or checks the one that is there. It is safe to be called by
// all hubs at once.
func Open(ctx context.Context, nc *nats.Conn, opts ...Option) (*Stream, error) {
	s, err := New(nc, opts...)
	if err != nil {
		return nil, err
	}
	return s, s.Prepare(ctx)
}

// New is Open for servers that may not be there yet: the stream is made or checked by
// Prepare, or else by Origin, without which no node begins.
func New(nc *nats.Conn, opts ...Option) (*Stream, error) {
	c := newConfig(opts)
	if c.name == "" || strings.ContainsAny(c.name, " \t\r\n\f.*>/\\") {
		return nil, fmt.Errorf("jetstream: %q is no name of a stream: it takes neither spaces nor any of . * > / \\", c.name)
	}
	if c.replicas < 1 || c.replicas > 5 {
		return nil, fmt.Errorf("jetstream: %d replicas: give 1 to 5, of which 3 and 5 survive the loss of a server", c.replicas)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(apiTimeout))
	if err != nil {
		return nil, err
	}
	return &Stream{cfg: c, nc: nc, js: js, batches: make(chan struct{}, batchesAtOnce)}, nil
}

// errUnprepared is the answer before it is known that the stream is one for hubs.
var errUnprepared = errors.New("jetstream: the stream has not been seen yet")

// Prepare makes the stream, or checks the one that is there.
func (s *Stream) Prepare(ctx context.Context) error {
	info, err := s.info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		info, err = s.make(ctx)
	}
	if err == nil && s.cfg.lacksValues(&info.Config) {
		info, err = s.addValues(ctx, info.Config)
	}
	if err != nil {
		return fmt.Errorf("jetstream: stream %s: %w", s.cfg.name, s.explain(err))
	}
	if diff := s.cfg.differences(&info.Config); len(diff) > 0 {
		return fmt.Errorf("%w from what a cluster of hubs needs: %s: %s", ErrDiffers, s.cfg.name, strings.Join(diff, "; "))
	}
	if _, err = s.origin(info); err == nil {
		s.prepared.Store(true)
	}
	return err
}

// make makes the stream. Where another hub was faster, it returns that one's.
func (s *Stream) make(ctx context.Context) (*jetstream.StreamInfo, error) {
	want := s.cfg.wanted()
	want.Metadata[metaBase] = strconv.FormatInt(time.Now().UnixNano()/int64(idTick), 10)
	st, err := s.js.CreateStream(ctx, want)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return s.info(ctx)
	}
	if err != nil {
		return nil, err
	}
	return st.CachedInfo(), nil
}

func (c *config) wanted() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: c.name, Description: "events of a cluster of spate hubs",
		Subjects:  []string{c.name + ".b", c.name + ".t.*", c.name + ".u.*", c.name + ".m", c.name + ".h", c.name + ".p.*"},
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld,
		Replicas: c.replicas, MaxAge: c.maxAge, MaxBytes: c.maxBytes, MaxMsgs: -1, MaxMsgsPerSubject: -1,
		Duplicates: tokenWindow, DenyDelete: true, AllowAtomicPublish: true,
		Metadata: map[string]string{metaFrom: "0", metaFormat: strconv.Itoa(format)},
	}
}

// differences lists what of a stream does not do. Bounds of age and bytes are the
// operator's.
func (c *config) differences(have *jetstream.StreamConfig) (diff []string) {
	want := c.wanted()
	say := func(differs bool, what string, have, want any) {
		if differs {
			diff = append(diff, fmt.Sprintf("%s is %v, not %v", what, have, want))
		}
	}
	slices.Sort(want.Subjects)
	subjects := slices.Sorted(slices.Values(have.Subjects))
	say(!slices.Equal(subjects, want.Subjects), "subjects", subjects, want.Subjects)
	say(c.replicasSet && have.Replicas != want.Replicas, "replicas", have.Replicas, want.Replicas)
	say(have.Retention != want.Retention, "retention", have.Retention, want.Retention)
	say(have.Storage != want.Storage, "storage", have.Storage, want.Storage)
	say(have.Discard != want.Discard, "discard", have.Discard, want.Discard)
	say(have.MaxMsgsPerSubject > 0, "max_msgs_per_subject", have.MaxMsgsPerSubject, "unlimited")
	say(have.Duplicates < want.Duplicates, "duplicate_window", have.Duplicates, "at least "+want.Duplicates.String())
	say(!have.DenyDelete, "deny_delete", have.DenyDelete, true)
	say(!have.AllowAtomicPublish, "allow_atomic", have.AllowAtomicPublish, true)
	say(have.AllowMsgTTL, "allow_msg_ttl", have.AllowMsgTTL, "false, as what goes early would count as lost")
	say(have.NoAck, "no_ack", have.NoAck, false)
	say(have.Sealed, "sealed", have.Sealed, false)
	say(have.Mirror != nil || len(have.Sources) > 0, "mirror or sources", "set", "unset")
	say(have.SubjectTransform != nil, "subject_transform", "set", "unset")
	for _, key := range []string{metaBase, metaFrom, metaFormat} {
		_, err := strconv.ParseUint(have.Metadata[key], 10, 63)
		say(err != nil, "metadata "+key, strconv.Quote(have.Metadata[key]), "a number")
	}
	if have.Metadata[metaFormat] != "" {
		say(have.Metadata[metaFormat] != strconv.Itoa(format), "metadata "+metaFormat, have.Metadata[metaFormat], format)
	}
	return diff
}

// info asks for the stream, of its leader.
func (s *Stream) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	st, err := s.js.Stream(ctx, s.cfg.name)
	if err != nil {
		return nil, err
	}
	return st.CachedInfo(), nil
}

// origin returns the ID before the first one of a stream, and notes what is known of it.
func (s *Stream) origin(info *jetstream.StreamInfo) (uint64, error) {
	base, err := strconv.ParseUint(info.Config.Metadata[metaBase], 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: metadata %s is %q, not a number", ErrDiffers, metaBase, info.Config.Metadata[metaBase])
	}
	from, err := strconv.ParseUint(info.Config.Metadata[metaFrom], 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: metadata %s is %q, not a number", ErrDiffers, metaFrom, info.Config.Metadata[metaFrom])
	}
	s.base.Store(base)
	s.kept.Store(&cluster.Kept{
		Oldest: info.State.FirstSeq, Newest: info.State.LastSeq, Age: info.Config.MaxAge,
		Bounded: info.Config.MaxBytes > 0 || info.Config.MaxMsgs > 0,
	})
	return base + from, nil
}

// Origin implements [cluster.Orderer].
func (s *Stream) Origin(ctx context.Context) (uint64, error) {
	if !s.prepared.Load() {
		if err := s.Prepare(ctx); err != nil {
			return 0, err
		}
	}
	info, err := s.info(ctx)
	if err != nil {
		return 0, s.explain(err)
	}
	return s.origin(info)
}

// Head implements [cluster.Orderer]. It adds a message that is no event: an answer that
// a server gives by itself may be of a time when it was not cut off yet.
func (s *Stream) Head(ctx context.Context) (uint64, error) {
	if !s.prepared.Load() {
		return 0, errUnprepared
	}
	ack, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: s.cfg.name + ".h"}, jetstream.WithExpectStream(s.cfg.name), jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, s.explain(err)
	}
	base := s.base.Load()
	if _, err := s.Origin(ctx); err != nil {
		return 0, err
	}
	if base != s.base.Load() {
		return 0, errors.New("jetstream: the stream was made anew")
	}
	return base + ack.Sequence, nil
}

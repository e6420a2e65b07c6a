package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/jetstream"
	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/stream"
)

// sharedRevocations has what is revoked at one hub of a cluster hold at all of them, also at those that hear of it later.
// The board has all revocations as long as they hold: a hub reads it when it starts, and when it has lost a part of the
// stream, and lets nobody in before. For what comes while it runs there is a word in the stream of events, so that a hub
// which was cut off has heard of it before it is ready.
//
// It implements api.Revoker.
type sharedRevocations struct {
	a        *access
	board    cluster.Board
	announce func(ctx context.Context, text []byte) error
	log      *slog.Logger

	losses, read atomic.Uint64 // how often the board had to be read, and of those which one it was read for
	untold       atomic.Uint64 // revocations that could not be spread
	due          chan struct{} // of capacity 1: there is something to do for run

	// These are run's own.
	spreadTo uint64 // what untold was when the board last had all that is known here; none yet: noReading
	doubts   doubts
	saved    bool // the file has what was learned, or nothing was
}

// revocationWord is what is said in the stream.
type revocationWord struct {
	Revoked *auth.Revocation `json:"revoked"`
}

// share has the hub's revocations hold in its cluster. It is called before the hub begins.
func (a *access) share(j *joined, log *slog.Logger) error {
	if j == nil || a.open {
		return nil
	}
	board, err := j.node.Board()
	if err != nil {
		return err
	}
	s := &sharedRevocations{a: a, board: board, announce: j.node.Announce, log: log, due: make(chan struct{}, 1), spreadTo: noReading, saved: true}
	s.lose()
	j.node.OnWord(s.hear, s.lose)
	a.shared = s
	return nil
}

// errUnreadRevocations is the answer while it is not known who is let in.
var errUnreadRevocations = &stream.Error{Status: http.StatusServiceUnavailable, RetryAfter: time.Second,
	Message: "which credentials were revoked is not known yet: the hub has to hear of it from its cluster"}

// known returns nil once it is known what was revoked; also for a hub that is alone.
func (s *sharedRevocations) known() error {
	if s != nil && s.unread() {
		return errUnreadRevocations
	}
	return nil
}

func (s *sharedRevocations) unread() bool { return s.read.Load() != s.losses.Load() }

// lose has the board be read: this hub may not have heard all that was said.
func (s *sharedRevocations) lose() {
	s.losses.Add(1)
	s.wake()
}

// wake has run look at what there is to do.
func (s *sharedRevocations) wake() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// hear takes what was said in the stream. What comes behind it there waits for it: it does no more than end streams.
func (s *sharedRevocations) hear(text []byte) {
	var word revocationWord
	if json.Unmarshal(text, &word) != nil || word.Revoked == nil {
		return
	}
	if _, err := s.learn(*word.Revoked); errors.Is(err, auth.ErrRevocationsFull) {
		s.lose() // the board has it, when there is room
	}
}

// fewRevoked is for how many revocations streams are looked for one by one.
const fewRevoked = 16

// learn has revocations of others hold here, and ends the streams that they concern: those of credentials that are newer
// go on. It returns how many these were, and an error where not all could be taken over: this hub then goes by less than
// the others.
func (s *sharedRevocations) learn(list ...auth.Revocation) (ended int, err error) {
	fresh, err := s.a.revoked.Learn(list...)
	if err != nil && !errors.Is(err, auth.ErrRevocationsFull) {
		s.log.Error("cluster: what another hub revoked is not understood, and does not hold here", "err", err)
	}
	if len(fresh) == 0 {
		return 0, err
	}
	s.wake() // to be kept
	if s.a.tickets != nil {
		s.a.tickets.Revoke(s.a.revoked.Revoked)
	}
	if len(fresh) > fewRevoked {
		return s.a.sessions.Revoke(s.a.revoked.Revoked), err
	}
	for _, r := range fresh {
		if r.User != "" {
			ended += s.a.sessions.RevokeUserIf(r.User, s.a.revoked.Revoked)
		} else {
			ended += s.a.sessions.RevokeGrant(r.Grant)
		}
	}
	return ended, err
}

// Revoke implements api.Revoker.
func (s *sharedRevocations) Revoke(user string) (ended int, word json.RawMessage, err error) {
	if ended, err = s.a.revokeUser(user); err != nil {
		return 0, nil, err
	}
	if r, is := s.a.revoked.OfUser(user); is {
		word, err = json.Marshal(r)
	}
	return ended, word, err
}

// Take implements api.Revoker.
func (s *sharedRevocations) Take(word json.RawMessage) (ended int, err error) {
	var r auth.Revocation
	if err := json.Unmarshal(word, &r); err != nil {
		return 0, err
	}
	return s.learn(r)
}

func boardKey(r *auth.Revocation) string {
	if r.User != "" {
		return "revoked-user/" + r.User
	}
	return "revoked-grant/" + r.Grant
}

// spread has all hubs know: those that follow the stream by a word in it, those that begin by the board. It is on the board
// last, so that what is not there is known not to have been spread.
func (s *sharedRevocations) spread(ctx context.Context, r *auth.Revocation) error {
	word, err := json.Marshal(revocationWord{r})
	if err != nil {
		return err
	}
	if err := s.announce(ctx, word); err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.board.Post(ctx, boardKey(r), text, r.Until)
}

// Tell implements api.Revoker: all hubs come to know what was revoked of a user here.
func (s *sharedRevocations) Tell(ctx context.Context, user string) error {
	r, is := s.a.revoked.OfUser(user)
	if !is {
		return nil // it is over
	}
	err := s.spread(ctx, &r)
	if err == nil {
		return nil
	}
	s.untold.Add(1)
	s.wake() // it is told all the same, when it can be
	s.log.Error("cluster: a revocation could not be kept for all hubs", "uid", user, "err", err)
	return &stream.Error{Status: http.StatusServiceUnavailable, RetryAfter: 2 * time.Second,
		Message: "it holds at the hubs that answered, and the cluster could not be told for those that did not: send it again"}
}

const (
	readRevocations = 20 * time.Second       // bounds a reading of the board
	readAgain       = 300 * time.Millisecond // after one that failed, while nobody is let in
	postAgain       = 5 * time.Second        // after what only others want

	noReading = math.MaxUint64
)

// run reads the board when it has to, puts there what it lacks, and keeps what was learned, until ctx ends.
func (s *sharedRevocations) run(ctx context.Context) {
	for {
		var again <-chan time.Time
		if wait := s.settle(ctx); wait > 0 {
			again = time.After(wait)
		}
		select {
		case <-s.due:
		case <-again:
		case <-ctx.Done():
			if err := s.a.revoked.Save(); err != nil {
				s.log.Error("cluster: what was revoked elsewhere is not in this hub's file; the cluster has it", "err", err)
			}
			return
		}
	}
}

// settle does what there is to do, and returns when it is to be called again for what could not be done; 0: for nothing.
func (s *sharedRevocations) settle(ctx context.Context) (again time.Duration) {
	if err := s.a.revoked.Save(); err != nil {
		if again = postAgain; s.saved {
			s.log.Error("cluster: what was revoked elsewhere could not be written to this hub's file; it holds, and is tried again", "err", err)
		}
		s.saved = false
	} else {
		s.saved = true
	}
	if !s.unread() && s.spreadTo == s.untold.Load() {
		return again
	}
	err := s.readBoard(ctx)
	s.doubts.note(s.log, time.Now(), err, s.unread())
	switch {
	case s.unread():
		return readAgain
	case s.spreadTo != s.untold.Load():
		return postAgain
	}
	return again
}

// readBoard takes over what is on the board, and spreads what is known here and not there: what was revoked before the
// hub was in the cluster, while the board was not to be had, or before somebody took it away. The next reading shows
// whether it stays there.
func (s *sharedRevocations) readBoard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readRevocations)
	defer cancel()
	losses := s.losses.Load() // what is lost from now on is read again
	untold := s.untold.Load()
	s.spreadTo = noReading
	var list []auth.Revocation
	there := map[string]auth.Revocation{}
	err := s.board.Posted(ctx, func(key string, text []byte) error {
		var r auth.Revocation
		if json.Unmarshal(text, &r) != nil || boardKey(&r) != key {
			return nil // of something else
		}
		list, there[key] = append(list, r), r
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := s.learn(list...); errors.Is(err, auth.ErrRevocationsFull) {
		return fmt.Errorf("not all that was revoked could be taken over: %w", err)
	}
	s.read.Store(losses)
	lacking := 0
	for _, r := range s.a.revoked.All() {
		if known, is := there[boardKey(&r)]; is && known.Covers(&r) {
			continue
		}
		lacking++
		if err := s.spread(ctx, &r); err != nil {
			return err
		}
	}
	if lacking == 0 {
		s.spreadTo = untold
	}
	return nil
}

// doubts tell of a board that is not to be had for some time, or not as it has to be, and of its return.
type doubts struct {
	since, told time.Time // of the first failure in a row, and of the last word about it
}

const (
	doubtAfter = 3 * time.Second // a cluster that starts takes some
	doubtEvery = time.Minute
)

func (d *doubts) note(log *slog.Logger, now time.Time, err error, unread bool) {
	if err == nil {
		if !d.told.IsZero() {
			log.Info("cluster: what was revoked is known again, and kept for all hubs")
		}
		*d = doubts{}
		return
	}
	if d.since.IsZero() {
		d.since = now
	}
	if !d.told.IsZero() && now.Sub(d.told) < doubtEvery || now.Sub(d.since) < doubtAfter && !errors.Is(err, jetstream.ErrDiffers) {
		return
	}
	d.told = now
	what := "what was revoked here cannot be kept for all hubs; it is tried again"
	if unread {
		what = "what was revoked cannot be read: the hub is not ready and lets nobody in, and goes on trying"
	}
	log.Error("cluster: "+what, "why", err)
}

package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/stream"
)

// sharedRevocations has what is revoked at one hub of a cluster hold at all of them, also at those that hear of it later.
// The board has all revocations as long as they hold: a hub reads it when it starts, and when it has lost a part of the
// stream, and lets nobody in before. For what comes while it runs there is a word in the stream of events, so that a hub
// which was cut off has heard of it before it is ready.
type sharedRevocations struct {
	a        *access
	board    cluster.Board
	announce func(ctx context.Context, text []byte) error
	log      *slog.Logger

	losses, read atomic.Uint64 // how often the board had to be read, and of those which one it was read for
	due          chan struct{} // of capacity 1: losses has risen
	posted       bool          // what was revoked here before is on the board; run's own
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
	s := &sharedRevocations{a: a, board: board, announce: j.node.Announce, log: log, due: make(chan struct{}, 1)}
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
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// hear takes what was said in the stream.
func (s *sharedRevocations) hear(text []byte) {
	var word revocationWord
	if json.Unmarshal(text, &word) == nil && word.Revoked != nil {
		s.learn(*word.Revoked)
	}
}

// fewRevoked is for how many revocations streams are looked for one by one.
const fewRevoked = 16

// learn has revocations of others hold here, and ends the streams that they concern.
func (s *sharedRevocations) learn(list ...auth.Revocation) {
	fresh, err := s.a.revoked.Learn(list...)
	if err != nil {
		s.log.Error("cluster: not all that was revoked could be taken over", "err", err)
	}
	if len(fresh) == 0 {
		return
	}
	if s.a.tickets != nil {
		s.a.tickets.Revoke(s.a.revoked.Revoked)
	}
	if len(fresh) > fewRevoked {
		s.a.sessions.Revoke(s.a.revoked.Revoked)
		return
	}
	for _, r := range fresh {
		if r.User != "" {
			s.a.sessions.RevokeUser(r.User)
		} else {
			s.a.sessions.RevokeGrant(r.Grant)
		}
	}
}

func boardKey(r *auth.Revocation) string {
	if r.User != "" {
		return "revoked-user/" + r.User
	}
	return "revoked-grant/" + r.Grant
}

func (s *sharedRevocations) post(ctx context.Context, r *auth.Revocation) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.board.Post(ctx, boardKey(r), text, r.Until)
}

// tell has all hubs know that a user was revoked here.
func (s *sharedRevocations) tell(ctx context.Context, user string) error {
	r, is := s.a.revoked.OfUser(user)
	if !is {
		return nil // it is over
	}
	err := s.post(ctx, &r)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(revocationWord{&r}); err == nil {
			err = s.announce(ctx, text)
		}
	}
	if err == nil {
		return nil
	}
	s.log.Error("cluster: a revocation could not be kept for all hubs", "uid", user, "err", err)
	return &stream.Error{Status: http.StatusServiceUnavailable, RetryAfter: 2 * time.Second,
		Message: "it holds at the hubs that answered, and the cluster could not be told for those that did not: send it again"}
}

// readRevocations bounds a reading of the board.
const readRevocations = 20 * time.Second

// run reads the board when it has to, until ctx ends.
func (s *sharedRevocations) run(ctx context.Context) {
	for {
		select {
		case <-s.due:
		case <-ctx.Done():
			return
		}
		for s.unread() {
			err := s.readBoard(ctx)
			if err == nil {
				break
			}
			s.log.Debug("cluster: what was revoked is not read yet", "err", err)
			select {
			case <-time.After(300 * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
	}
}

// readBoard takes over what is on the board, and at first puts there what was revoked here before.
func (s *sharedRevocations) readBoard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readRevocations)
	defer cancel()
	losses := s.losses.Load() // what is lost from now on is read again
	var list []auth.Revocation
	there := map[string]bool{}
	err := s.board.Posted(ctx, func(key string, text []byte) error {
		var r auth.Revocation
		if json.Unmarshal(text, &r) != nil || boardKey(&r) != key {
			return nil // of something else
		}
		list, there[key] = append(list, r), true
		return nil
	})
	if err != nil {
		return err
	}
	s.learn(list...)
	s.read.Store(losses)
	if s.posted {
		return nil
	}
	s.posted = true
	for _, r := range s.a.revoked.All() {
		if there[boardKey(&r)] {
			continue
		}
		if err := s.post(ctx, &r); err != nil {
			s.posted = false
			s.log.Error("cluster: what was revoked here before could not be kept for all hubs", "err", err)
			return nil
		}
	}
	return nil
}

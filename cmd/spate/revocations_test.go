package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/clustertest"
	"github.com/spatehub/spate/cluster/jetstream"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/stream"
)

// told is a log that is looked at while it is written.
type told struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *told) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *told) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.text.Bytes(), []byte(what))
}

// moodyBoard is a board that takes or tells nothing for a time.
type moodyBoard struct {
	cluster.Board
	mu               sync.Mutex
	refuses, saysNot error
	everPosted       int
}

func (b *moodyBoard) set(refuses, saysNot error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuses, b.saysNot = refuses, saysNot
}

func (b *moodyBoard) Post(ctx context.Context, key string, text []byte, until time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuses != nil {
		return b.refuses
	}
	b.everPosted++
	return b.Board.Post(ctx, key, text, until)
}

func (b *moodyBoard) Posted(ctx context.Context, fn func(key string, text []byte) error) error {
	b.mu.Lock()
	err := b.saysNot
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Board.Posted(ctx, fn)
}

// newShared is what a hub with its revocations in a file shares over a board.
func newShared(t *testing.T, board cluster.Board, path string) (*sharedRevocations, *told) {
	t.Helper()
	log := &told{}
	a := &access{log: slog.New(slog.NewTextHandler(log, nil)), revokeFor: time.Hour}
	if path != "" {
		require.NoError(t, a.revoked.Keep(path))
	}
	s := &sharedRevocations{a: a, board: board, log: a.log, due: make(chan struct{}, 1), spreadTo: noReading, saved: true,
		announce: func(context.Context, []byte) error { return nil }}
	s.lose()
	a.shared = s
	return s, log
}

func onBoard(t *testing.T, board cluster.Board) map[string]auth.Revocation {
	t.Helper()
	all := map[string]auth.Revocation{}
	require.NoError(t, board.Posted(t.Context(), func(key string, text []byte) error {
		var r auth.Revocation
		require.NoError(t, json.Unmarshal(text, &r))
		all[key] = r
		return nil
	}))
	return all
}

// A hub lets nobody in before it has read the board, and puts there what it knows better: also after it could not at
// first, and again when somebody has taken it away.
func TestABoardComesToKnowWhatWasRevokedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := &moodyBoard{Board: clustertest.NewFake(1, 0).Port(clustertest.Failures{})}
		s, log := newShared(t, board, "")
		now := time.Now()
		early, late := now.Add(-time.Hour), now.Add(-time.Minute)
		_, err := s.a.revoked.Learn(auth.Revocation{User: "tom", At: late, Until: now.Add(time.Hour)}, auth.Revocation{User: "ann", At: early}, auth.Revocation{Grant: "g", At: early})
		require.NoError(t, err)
		for _, r := range []auth.Revocation{{User: "tom", At: early, Until: now.Add(time.Hour)}, {User: "ann", At: late}, {User: "eve", At: early}} {
			require.NoError(t, s.spread(t.Context(), &r))
		}
		board.everPosted = 0
		var said []string
		s.announce = func(_ context.Context, text []byte) error { said = append(said, string(text)); return nil }
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		board.set(errors.New("storage is full"), errors.New("no quorum"))
		go func() { s.run(ctx); close(ended) }()

		time.Sleep(2 * time.Second)
		require.Error(t, s.known())
		require.Zero(t, log.count("level=ERROR"), "clusters that start take some seconds")
		time.Sleep(2 * time.Second)
		require.Equal(t, 1, log.count("lets nobody in"), "once")
		require.Equal(t, 1, log.count("no quorum"))

		board.set(errors.New("storage is full"), nil)
		time.Sleep(time.Second)
		require.NoError(t, s.known())
		require.True(t, s.a.revoked.Revoked(&stream.Grant{User: "eve", Issued: early}))
		require.True(t, s.a.revoked.Revoked(&stream.Grant{User: "ann", Issued: late}))
		time.Sleep(2 * time.Minute)
		require.Positive(t, log.count("storage is full"))
		require.Less(t, log.count("storage is full"), 5)

		board.set(nil, nil)
		time.Sleep(time.Minute)
		require.Equal(t, 1, log.count("is known again"))
		all := onBoard(t, board)
		require.Len(t, all, 4)
		require.True(t, late.Equal(all["revoked-user/tom"].At), "what the hub knew better")
		require.True(t, late.Equal(all["revoked-user/ann"].At), "what the board knew better")
		require.Equal(t, 2, board.everPosted, "no more than it lacked")
		require.Contains(t, strings.Join(said, " "), `"grant":"g"`, "hubs that run do not read the board")
		require.NotContains(t, strings.Join(said, " "), "ann")

		board.Board = clustertest.NewFake(2, 0).Port(clustertest.Failures{})
		s.lose()
		time.Sleep(time.Minute)
		require.Len(t, onBoard(t, board), 4, "it was taken away")

		board.set(nil, fmt.Errorf("the board %w", jetstream.ErrDiffers))
		s.lose()
		synctest.Wait()
		require.Equal(t, 1, log.count(jetstream.ErrDiffers.Error()), "at once: it does not become another one by itself")
		end()
		<-ended
	})
}

// A revocation that could not be told is an error, and is put on the board when that can be.
func TestARevocationThatCouldNotBeTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := &moodyBoard{Board: clustertest.NewFake(1, 0).Port(clustertest.Failures{})}
		s, _ := newShared(t, board, "")
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.run(ctx); close(ended) }()
		time.Sleep(time.Minute)

		board.set(errors.New("no quorum"), nil)
		_, word, err := s.Revoke("tom")
		require.NoError(t, err)
		require.NotEmpty(t, word)
		var refused *stream.Error
		require.ErrorAs(t, s.Tell(t.Context(), "tom"), &refused)
		require.Equal(t, http.StatusServiceUnavailable, refused.Status)
		require.NoError(t, s.Tell(t.Context(), "nobody"))
		board.set(nil, nil)
		time.Sleep(time.Minute)
		require.Contains(t, onBoard(t, board), "revoked-user/tom")

		other, _ := newShared(t, board, "")
		_, err = other.Take(word)
		require.NoError(t, err)
		there, is := other.a.revoked.OfUser("tom")
		require.True(t, is)
		here, _ := s.a.revoked.OfUser("tom")
		require.True(t, here.At.Equal(there.At), "by the clock of the hub that was asked")
		_, err = other.Take([]byte("{"))
		require.Error(t, err)
		end()
		<-ended
	})
}

// What is heard is in the file soon, which holds up nobody who hears, and what could not be written is written later.
func TestWhatIsHeardIsKept(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(folder, 0o700))
	path := filepath.Join(folder, revocationsFile)
	synctest.Test(t, func(t *testing.T) {
		s, log := newShared(t, clustertest.NewFake(1, 0).Port(clustertest.Failures{}), path)
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.run(ctx); close(ended) }()
		time.Sleep(time.Minute)
		require.NoError(t, os.RemoveAll(folder))
		for i := range 40 {
			text, err := json.Marshal(revocationWord{&auth.Revocation{User: fmt.Sprint("user", i), At: time.Now()}})
			require.NoError(t, err)
			s.hear(text)
		}
		s.hear([]byte(`{"revoked":{}}`))
		s.hear([]byte(`"of something else"`))
		time.Sleep(time.Minute)
		require.Equal(t, 1, log.count("could not be written"), "once")
		require.Equal(t, 1, log.count("is not understood"))
		require.NoError(t, os.Mkdir(folder, 0o700))
		time.Sleep(time.Minute)
		end()
		<-ended
	})
	var again auth.Revocations
	require.NoError(t, again.Keep(path))
	require.Len(t, again.All(), 40)
}

// A hub that has no room for what others revoke says so to who asks, and lets nobody in, rather than those people.
func TestAHubWithoutRoomForRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := clustertest.NewFake(1, 0).Port(clustertest.Failures{})
		s, log := newShared(t, board, "")
		full := make([]auth.Revocation, 100_000)
		for i := range full {
			full[i] = auth.Revocation{User: fmt.Sprint("user", i), At: time.Now(), Until: time.Now().Add(time.Hour)}
		}
		s.read.Store(s.losses.Load())
		s.spreadTo = 0
		_, err := s.learn(full...)
		require.NoError(t, err)
		tom := auth.Revocation{User: "tom", At: time.Now()}
		word, err := json.Marshal(revocationWord{&tom})
		require.NoError(t, err)
		text, err := json.Marshal(tom)
		require.NoError(t, err)
		_, err = s.Take(text)
		require.ErrorIs(t, err, auth.ErrRevocationsFull)
		require.NoError(t, s.known())
		s.hear(word)
		require.Error(t, s.known())
		require.NoError(t, board.Post(t.Context(), boardKey(&tom), text, time.Time{}))
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.run(ctx); close(ended) }()
		time.Sleep(30 * time.Second)
		require.Error(t, s.known())
		require.Positive(t, log.count("no more can be"))
		time.Sleep(2 * time.Hour) // the others are over
		require.NoError(t, s.known())
		require.True(t, s.a.revoked.Revoked(&stream.Grant{User: "tom"}))
		end()
		<-ended
	})
}

// Hearing of a revocation ends the streams of the credentials that it takes back, and none that are newer, however many
// are heard of at once.
func TestHearingOfARevocationLeavesNewerCredentials(t *testing.T) {
	for _, many := range []int{1, 2 * fewRevoked} {
		s, _ := newShared(t, clustertest.NewFake(1, 0).Port(clustertest.Failures{}), "")
		hub := engine.NewHub()
		defer hub.Close()
		revoked := time.Now().Add(-time.Minute)
		issued := map[string]time.Time{"old": revoked.Add(-time.Minute), "new": revoked.Add(time.Second)}
		server := httptest.NewServer(stream.Authorized(hub, func(r *http.Request) (stream.Grant, error) {
			return stream.Grant{User: "tom", Issued: issued[r.Header.Get("Authorization")]}, nil
		}, stream.WithSessions(&s.a.sessions)))
		defer server.Close()
		answers := map[string]*http.Response{}
		for which := range issued {
			req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", which)
			answers[which], err = http.DefaultClient.Do(req)
			require.NoError(t, err)
			defer answers[which].Body.Close()
		}
		open := func(n int) func() bool { return func() bool { return hub.OnlineClientsNum() == n } }
		require.Eventually(t, open(2), patience, time.Millisecond)
		list := []auth.Revocation{{User: "tom", At: revoked}}
		for i := 1; i < many; i++ {
			list = append(list, auth.Revocation{User: fmt.Sprint("other", i), At: revoked})
		}
		ended, err := s.learn(list...)
		require.NoError(t, err)
		require.Equal(t, 1, ended)
		var text bytes.Buffer
		_, err = text.ReadFrom(answers["old"].Body)
		require.NoError(t, err)
		require.Contains(t, text.String(), "revoked")
		require.Eventually(t, open(1), patience, time.Millisecond)
		require.Equal(t, 1, s.a.sessions.Len())
	}
}

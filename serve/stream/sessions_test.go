package stream_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// taker is a ResponseWriter that takes everything.
type taker struct{ header http.Header }

func (w taker) Header() http.Header         { return w.header }
func (w taker) Write(p []byte) (int, error) { return len(p), nil }
func (w taker) WriteHeader(int)             {}
func (w taker) Flush()                      {}

// granted streams to a grant until the stream ends, or for as long as it stays.
func granted(hub *engine.Hub, sessions *stream.Sessions, g stream.Grant, stays time.Duration) bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	leave := time.AfterFunc(stays, cancel) // no deadline, which would be an end from this side
	defer leave.Stop()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	return stream.ServeGrant(taker{http.Header{}}, r, hub, g, stream.WithSessions(sessions))
}

// (Invariant 9.) However many grants there are, and whoever leaves before, each stream ends when its own grant does, also where
// very many end at once, or one in centuries.
func TestEachStreamEndsWithItsOwnGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		rnd := rand.New(rand.NewPCG(seed, 0))
		hub := newHub(t, engine.WithHeartbeat(-1))
		sessions := new(stream.Sessions)
		begin := time.Now()
		const years = 365 * 24 * time.Hour
		var wg sync.WaitGroup
		for i := range 1500 {
			lasts, stays := 30*time.Second, 250*years
			switch {
			case i < 250:
				lasts = time.Duration(1+rnd.IntN(60)) * time.Second
			case i < 300:
				lasts, stays = time.Minute, time.Duration(1+rnd.IntN(58))*time.Second
			case i == 300:
				lasts, stays = 240*years, 2*time.Minute
			}
			g := stream.Grant{ID: fmt.Sprint("grant", i), User: fmt.Sprint("user", i%100), Expires: begin.Add(lasts)}
			if i == 301 {
				g.Expires, lasts, stays = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 240*years, 2*time.Minute
			}
			wg.Go(func() {
				if !granted(hub, sessions, g, stays) {
					t.Error("refused")
				}
				if want, got := min(lasts, stays), time.Since(begin); got < want || got > want+time.Second/2 {
					t.Errorf("a stream that lasts %s, of one who stays %s, ended after %s", lasts, stays, got)
				}
			})
		}
		synctest.Wait()
		require.Equal(t, 1500, sessions.Len())
		wg.Wait()
		require.Zero(t, sessions.Len())
	})
}

// (Invariant 4.) Whoever revokes by a predicate sees each grant as it was given, though streams share what they have alike.
func TestRevokeSeesTheGrantAsItWasGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(t, engine.WithHeartbeat(-1))
		sessions := new(stream.Sessions)
		pattern := func(s string) []wire.Pattern {
			p, err := wire.ParsePattern(s)
			require.NoError(t, err)
			return []wire.Pattern{p}
		}
		now := time.Now()
		some := stream.Grant{ID: "1", User: "ann", Read: pattern("orders.>"), Admin: true, Limits: stream.Limits{Topics: 7},
			Push: stream.PushRights{Topics: pattern("a.*"), Users: []string{"tom", "eve"}, Everyone: true}, Issued: now.Add(1234567), Expires: now.Add(time.Hour + 1)}
		given := map[string]stream.Grant{"1": some, "": {}, "8": {ID: "8", Issued: time.Unix(-5, 3)}}
		for i, change := range []func(*stream.Grant){
			func(g *stream.Grant) { g.User = "tom" }, // else alike
			func(g *stream.Grant) { g.User, g.Expires = "", time.Time{} },
			func(g *stream.Grant) { g.Read = pattern("orders.*") },
			func(g *stream.Grant) { g.Push.Users = []string{"tom"} },
			func(g *stream.Grant) { g.Push.Users = []string{"tome", "ve"} },
			func(g *stream.Grant) { g.Push.AnyUser = true },
			func(g *stream.Grant) { g.Push.Topics, g.Push.Everyone = nil, false },
			func(g *stream.Grant) { g.Limits.Topics = 8 },
			func(g *stream.Grant) { g.Admin = false },
		} {
			g := some
			g.ID = fmt.Sprint("of ", i)
			change(&g)
			given[g.ID] = g
		}
		var wg sync.WaitGroup
		for _, g := range given {
			wg.Go(func() { granted(hub, sessions, g, 24*time.Hour) })
		}
		synctest.Wait()
		seen := 0
		require.Zero(t, sessions.Revoke(func(g *stream.Grant) bool {
			want, got := given[g.ID], *g
			require.True(t, want.Issued.Equal(got.Issued) && want.Expires.Equal(got.Expires), "%s %s", got.Issued, got.Expires)
			require.Equal(t, want.Issued.IsZero(), got.Issued == time.Time{})
			want.Issued, want.Expires, got.Issued, got.Expires = time.Time{}, time.Time{}, time.Time{}, time.Time{}
			require.Equal(t, want, got)
			seen++
			return false
		}))
		require.Len(t, given, seen)
		require.Equal(t, 3, sessions.RevokeUser(""))
		require.Equal(t, 1, sessions.RevokeGrant("of 0"))
		require.Zero(t, sessions.RevokeGrant(""))
		synctest.Wait()
		require.Equal(t, len(given)-4, sessions.Len())
		require.Equal(t, len(given)-4, sessions.Revoke(func(*stream.Grant) bool { return true }))
		wg.Wait()
		require.Zero(t, sessions.Len())
		sessions.RevokeUser("nobody")
	})
}

package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// desk hands out grants by the token of a request.
type desk struct {
	mu     sync.Mutex
	grants map[string]stream.Grant
	asked  func()        // called, if set, before the answer
	lasts  time.Duration // if set, from the answer on
}

func (d *desk) set(token string, g stream.Grant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.grants == nil {
		d.grants = map[string]stream.Grant{}
	}
	d.grants[token] = g
}

func (d *desk) authorize(r *http.Request) (stream.Grant, error) {
	d.mu.Lock()
	g, known := d.grants[r.Header.Get("Authorization")]
	asked := d.asked
	if d.lasts > 0 {
		g.Expires = time.Now().Add(d.lasts)
	}
	d.mu.Unlock()
	if asked != nil {
		asked()
	}
	if !known {
		return stream.Grant{}, &stream.Error{Status: http.StatusUnauthorized, Message: "unknown token"}
	}
	return g, nil
}

// guarded is a site whose streams are those of grants.
type guarded struct {
	*site
	desk     *desk
	sessions *stream.Sessions
}

func newGuarded(t *testing.T, m mode, with setup) *guarded {
	t.Helper()
	g := &guarded{desk: &desk{}, sessions: &stream.Sessions{}}
	options := append(with.options, stream.WithSessions(g.sessions))
	if m.portable {
		options = append(options, stream.WithPortable())
	}
	var around http.Handler
	with.around = func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { around.ServeHTTP(w, r) })
	}
	g.site = newSite(t, m, with)
	around = stream.Authorized(g.hub, g.desk.authorize, options...)
	return g
}

// eachGuarded runs body over every mode.
func eachGuarded(t *testing.T, with setup, body func(t *testing.T, g *guarded)) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) { body(t, newGuarded(t, m, with)) })
	}
}

// as opens a stream with the token.
func (g *guarded) as(token, query string, header ...string) *follower {
	g.t.Helper()
	st := g.open(query, append(header, "Authorization", token)...)
	require.Equal(g.t, http.StatusOK, st.resp.StatusCode)
	return st
}

// booked waits until n streams are in the books: one leaves them a moment after it has ended.
func (g *guarded) booked(n int) {
	g.t.Helper()
	require.Eventually(g.t, func() bool { return g.sessions.Len() == n }, patience, time.Millisecond)
}

// counted waits until the hub's counters say what ended.
func (g *guarded) counted(want engine.Ends) {
	g.t.Helper()
	require.Eventually(g.t, func() bool { return g.hub.Stats().Ends == want }, patience, time.Millisecond)
}

// refused requires an answer with the status about the field that says what.
func (g *guarded) refused(token, query string, status int, field, what string) http.Header {
	g.t.Helper()
	st := g.open(query, "Authorization", token)
	body, err := io.ReadAll(st.resp.Body)
	require.NoError(g.t, err)
	require.Equal(g.t, status, st.resp.StatusCode, string(body))
	var answer struct{ Detail, Field string }
	require.NoError(g.t, json.Unmarshal(body, &answer), string(body))
	require.Equal(g.t, field, answer.Field)
	require.Contains(g.t, answer.Detail, what)
	return st.resp.Header
}

// (Invariant 4.) A stream follows what it asks for within its grant; more is refused with its name, and no credentials get nothing.
func TestStreamsWithinGrants(t *testing.T) {
	eachGuarded(t, setup{}, func(t *testing.T, g *guarded) {
		g.desk.set("tom", stream.Grant{User: "tom", Read: patterns(t, "orders.>", "news"), Limits: stream.Limits{Topics: 3}})
		st := g.as("tom", "topic=orders.1&topic=news&uid=tom")
		g.online(1)
		for _, e := range []*wire.Event{
			{Data: "other topic", Topic: "prices"}, {Data: "topic not asked for", Topic: "orders.2"}, {Data: "1", Topic: "orders.1"}, {Data: "2", Topic: "news"}, {Data: "3"},
		} {
			require.NoError(t, g.hub.Push(nil, e))
		}
		wide := g.as("tom", "topic=orders.%3E&topic=orders.*.eu")
		g.online(2)
		require.NoError(t, g.hub.Push(nil, &wire.Event{Data: "deep", Topic: "orders.7.eu"}, &wire.Event{Data: "not below", Topic: "orders"}))
		require.NoError(t, g.hub.Push([]string{"tom"}, &wire.Event{Data: "private", Topic: "orders.9"}))
		wide.expect("deep", "private")
		wide.close()
		g.online(1)
		require.NoError(t, g.hub.Push([]string{"ann"}, &wire.Event{Data: "for ann"}))
		require.NoError(t, g.hub.Push([]string{"tom"}, &wire.Event{Data: "4"}))
		st.expect("1", "2", "3", "4")

		require.Equal(t, "Bearer", g.refused("", "topic=news", 401, "", "unknown token").Get("WWW-Authenticate"))
		g.refused("tom", "topic=news&topic=orders", 403, "topic", `"orders"`)
		g.refused("tom", "topic=prices", 403, "topic", `"prices"`)
		g.refused("tom", "topic=%3E", 403, "topic", `">"`)
		g.refused("tom", "to%70ic=prices", 403, "topic", `"prices"`)
		g.refused("tom", "uid=ann", 403, "uid", `"ann"`)
		g.refused("tom", "topic=a.%3E.b", 400, "topic", "not the last")
		g.refused("tom", "topic=", 400, "topic", "empty")
		g.refused("tom", "topic=news;topic=prices", 400, "topic", "semicolon")
		g.refused("tom", "topic=news&topic=news&topic=news&topic=news", 400, "topic", "4")
		g.desk.set("old", stream.Grant{Expires: time.Now()})
		g.refused("old", "", 401, "", "expired")
		g.desk.set("limited", stream.Grant{Limits: stream.Limits{Connections: 1}})
		g.refused("limited", "", 500, "", "no gate")
		g.booked(1) // who was refused is in no books
		st.close()
		g.booked(0)
	})
}

// (Invariant 4.) Resume goes by the grant of now, whatever an older connection had.
func TestResumeWithinTheGrantOfNow(t *testing.T) {
	eachGuarded(t, setup{}, func(t *testing.T, g *guarded) {
		g.desk.set("t", stream.Grant{User: "tom", Read: patterns(t, ">")})
		st := g.as("t", "topic=a&topic=b")
		g.online(1)
		require.NoError(t, g.hub.Push(nil, &wire.Event{Data: "1", Topic: "a"}))
		first := st.next()
		st.close()
		g.online(0)
		require.NoError(t, g.hub.Push(nil, &wire.Event{Data: "2", Topic: "b"}, &wire.Event{Data: "3", Topic: "a"}))
		require.NoError(t, g.hub.Push([]string{"tom"}, &wire.Event{Data: "private"}))
		g.desk.set("t", stream.Grant{User: "ann", Read: patterns(t, "a")})
		g.refused("t", "topic=a&topic=b&last_event_id="+first.ID, 403, "topic", `"b"`)
		st = g.as("t", "topic=a", "Last-Event-ID", first.ID)
		st.expect("3")
		g.push("", "end")
		st.expect("end")
	})
}

func TestGrantExpiresAndTheStreamEnds(t *testing.T) {
	eachGuarded(t, setup{}, func(t *testing.T, g *guarded) {
		t.Parallel() // it waits
		g.desk.set("t", stream.Grant{})
		g.desk.lasts = time.Second // enough for the head, however busy the machine is
		st := g.as("t", "")
		st.ended("expired")
		g.online(0)
		g.booked(0)
		g.counted(engine.Ends{Expired: 1})
		g.desk.lasts = 1
		g.refused("t", "", 401, "", "expired")
	})
}

func TestRevoke(t *testing.T) {
	eachGuarded(t, setup{}, func(t *testing.T, g *guarded) {
		for token, grant := range map[string]stream.Grant{"1": {ID: "g1", User: "tom"}, "2": {ID: "g2", User: "tom"}, "3": {ID: "g3", User: "ann"}, "4": {ID: "g4"}, "5": {}} {
			g.desk.set(token, grant)
		}
		streams := map[string]*follower{}
		for _, token := range []string{"1", "2", "3", "4", "5"} {
			streams[token] = g.as(token, "")
		}
		g.online(5)
		require.Zero(t, g.sessions.RevokeGrant(""), "grants without a name")
		require.Zero(t, g.sessions.RevokeGrant("g9"))
		require.Equal(t, 1, g.sessions.RevokeGrant("g2"))
		streams["2"].ended("revoked")
		require.Equal(t, 1, g.sessions.RevokeUser("tom"))
		streams["1"].ended("revoked")
		g.online(3)
		require.Equal(t, 2, g.sessions.Revoke(func(g *stream.Grant) bool { return g.User == "" }))
		streams["4"].ended("revoked")
		streams["5"].ended("revoked")
		g.push("", "still here")
		streams["3"].expect("still here")
		g.online(1)
		g.booked(1)
		g.counted(engine.Ends{Revoked: 4})
	})
}

// A connection that takes no byte is ended as well, and what waits for it never reaches it.
func TestRevocationReachesAStalledConnection(t *testing.T) {
	eachGuarded(t, setup{control: shrink, hub: []engine.HubOption{engine.WithShards(1)}}, func(t *testing.T, g *guarded) {
		g.desk.set("t", stream.Grant{ID: "g", User: "tom"})
		st := g.as("t", "")
		g.online(1)
		pad := noise(16 << 10)
		n := 0
		for begin := time.Now(); g.hub.Stats().Stalled == 0; n++ {
			require.NoError(t, g.hub.Push(nil, &wire.Event{Data: pad}))
			require.Less(t, time.Since(begin), patience)
		}
		require.Equal(t, 1, g.sessions.RevokeUser("tom"))
		require.NoError(t, g.hub.Push(nil, &wire.Event{Data: "secret"}))
		got := 0
		for {
			e := st.next()
			if e.Event == engine.DisconnectEvent {
				break
			}
			if e.Event != engine.GapEvent { // of a hub whose window is all that it has
				require.Equal(t, pad, e.Data)
				got++
			}
		}
		require.Less(t, got, n+1)
		g.online(0)
		g.booked(0)
	})
}

// What is revoked while a request is on its way from its authorizer to its stream does not become one.
func TestRevocationReachesARequestOnItsWay(t *testing.T) {
	g := newGuarded(t, modes[0], setup{})
	g.desk.set("t", stream.Grant{ID: "g", User: "tom"})
	for _, revoke := range []func(){
		func() { g.sessions.RevokeGrant("g") },
		func() { g.sessions.RevokeUser("tom") },
		func() { g.sessions.Revoke(func(g *stream.Grant) bool { return g.ID == "g" }) },
		func() { g.sessions.RevokeUser("tom"); g.sessions.RevokeUser("ann") },
	} {
		g.desk.asked = revoke
		g.refused("t", "", 403, "", "revoked")
	}
	g.desk.asked = func() { g.sessions.RevokeUser("ann") }
	g.as("t", "").close()
	g.desk.asked = func() {
		for range 65 {
			g.sessions.RevokeUser("ann")
		}
	}
	g.refused("t", "", 503, "", "at present")
	g.desk.asked = nil
	g.booked(0)
}

// TestPrivacyUnderFire: rights change and clients come back at random IDs, and no event ever reaches one beyond its grant of the moment: a connection gets
// nothing but what its own grant has, live and on resume, and ends once that is taken back.
func TestPrivacyUnderFire(t *testing.T) {
	seed := rand.Uint64()
	if v := os.Getenv("SPATETEST_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
		seed = n
	}
	t.Logf("replay with SPATETEST_SEED=%d go test -run '^%s$' ./serve/stream", seed, t.Name())
	for _, m := range []mode{modes[0], modes[3], {name: "raw-uring", uring: true}} {
		t.Run(m.name, func(t *testing.T) {
			g := newGuarded(t, m, setup{hub: []engine.HubOption{engine.WithShards(2)}})
			stop := make(chan struct{})
			var publishing, reading sync.WaitGroup
			publishing.Go(func() { g.publishTo(stop) })
			for c := range fireUsers {
				reading.Go(func() { g.comeAndGo(fmt.Sprint("u", c), rand.New(rand.NewPCG(seed, uint64(c)))) })
			}
			reading.Wait()
			close(stop)
			publishing.Wait()
		})
	}
}

const fireUsers, fireTopics, fireRounds = 6, 5, 30

// publishTo publishes to topics and users until stop. An event's data says whom it is for.
func (g *guarded) publishTo(stop chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		e := &wire.Event{Topic: fmt.Sprint("t.", i%fireTopics)}
		e.Data = e.Topic
		var uids []string
		if i%3 == 0 {
			uids = []string{fmt.Sprint("u", i%fireUsers)}
			e.Data = uids[0] + " " + e.Topic
		}
		if err := g.hub.Push(uids, e); err != nil {
			g.t.Error(err)
			return
		}
	}
}

// comeAndGo connects as the user again and again, each time with other rights.
func (g *guarded) comeAndGo(user string, rnd *rand.Rand) {
	last := ""
	for range fireRounds {
		may, query := map[string]bool{}, ""
		var read []wire.Pattern
		for i := range fireTopics {
			if rnd.IntN(2) == 0 {
				continue
			}
			topic := fmt.Sprint("t.", i)
			p, err := wire.TopicPattern(topic)
			if err != nil {
				g.t.Error(err)
				return
			}
			may[topic], read, query = true, append(read, p), query+"topic="+topic+"&"
		}
		if len(may) == 0 {
			continue // nothing would come
		}
		g.desk.set(user, stream.Grant{ID: user, User: user, Read: read})
		if last != "" && rnd.IntN(3) > 0 {
			query += "last_event_id=" + last
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/events?"+query, nil)
		if err == nil {
			req.Header.Set("Authorization", user)
			var resp *http.Response
			if resp, err = g.client.Do(req); err == nil {
				last, err = g.readAll(resp, user, may, rnd.IntN(50), last)
				resp.Body.Close()
			}
		}
		cancel()
		if err != nil {
			g.t.Errorf("%s: %v", user, err)
			return
		}
	}
}

// readAll reads some events, takes the rights back, and reads to the end. It returns the last ID.
func (g *guarded) readAll(resp *http.Response, user string, may map[string]bool, some int, last string) (string, error) {
	if resp.StatusCode != http.StatusOK {
		return last, fmt.Errorf("status %s", resp.Status)
	}
	events := wire.NewDecoder(resp.Body)
	for n := 0; ; n++ {
		e, err := events.Next()
		if err != nil {
			return last, fmt.Errorf("the end is not told: %w", err)
		}
		switch e.Event {
		case engine.DisconnectEvent:
			if n <= some || e.Data != `{"reason":"revoked"}` {
				return last, fmt.Errorf("ended by %s after %d events", e.Data, n)
			}
			return last, nil
		case engine.GapEvent:
		default:
			who, topic, private := strings.Cut(e.Data.(string), " ")
			if !private {
				topic = who
			}
			if !may[topic] || private && who != user {
				return last, fmt.Errorf("got %q, may read %v", e.Data, may)
			}
			last = e.ID
		}
		if n == some && g.sessions.RevokeGrant(user) != 1 {
			return last, errors.New("its stream is in no books")
		}
	}
}

// pushAs posts a push with the token.
func (g *guarded) pushAs(h http.Handler, token, body string) (status int, field, message string, header http.Header) {
	g.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/push", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", token)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	var answer struct{ Detail, Field string }
	require.NoError(g.t, json.Unmarshal(rec.Body.Bytes(), &answer))
	return rec.Code, answer.Field, answer.Detail, rec.Header()
}

// (Invariant 4.) A push goes no further than its grant, and all of it or nothing.
func TestPushesWithinGrants(t *testing.T) {
	g := newGuarded(t, modes[0], setup{})
	h := stream.AuthorizedPush(g.hub, g.desk.authorize)
	g.desk.set("t", stream.Grant{Push: stream.PushRights{Topics: patterns(t, "orders.*"), Users: []string{"tom"}}})
	g.desk.set("old", stream.Grant{Push: stream.FullGrant("").Push, Expires: time.Now()})
	for name, tc := range map[string]struct {
		token, body string
		status      int
		field, what string
	}{
		"topic":           {"t", `{"events":[{"data":"x","topic":"orders.1"}]}`, 200, "", ""},
		"user":            {"t", `{"uids":["tom"],"events":[{"data":"x"}]}`, 200, "", ""},
		"other topic":     {"t", `{"events":[{"data":"x","topic":"orders.1"},{"data":"x","topic":"prices"}]}`, 403, "events[1].topic", `"prices"`},
		"everyone":        {"t", `{"events":[{"data":"x"}]}`, 403, "events[0]", "everyone"},
		"everyone, null":  {"t", `{"uids":null,"events":[{"data":"x"}]}`, 403, "events[0]", "everyone"},
		"other user":      {"t", `{"uids":["tom","ann"],"events":[{"data":"x"}]}`, 403, "uids[1]", `"ann"`},
		"pattern":         {"t", `{"events":[{"data":"x","topic":"orders.*"}]}`, 400, "events[0].topic", "patterns"},
		"no users":        {"t", `{"uids":[],"events":[{"data":"x","topic":"orders.1"}]}`, 400, "uids", "empty"},
		"unknown token":   {"?", `{"events":[{"data":"x"}]}`, 401, "", "unknown token"},
		"expired":         {"old", `{"events":[{"data":"x"}]}`, 401, "", "expired"},
		"token, bad body": {"?", `{`, 401, "", "unknown token"},
	} {
		before := g.hub.Stats().Events
		status, field, message, _ := g.pushAs(h, tc.token, tc.body)
		require.Equal(t, tc.status, status, "%s: %s", name, message)
		require.Equal(t, tc.field, field, name)
		require.Contains(t, message, tc.what, name)
		if status != 200 {
			require.Equal(t, before, g.hub.Stats().Events, name)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/push", strings.NewReader(`{"events":[{"data":"x","topic":"prices"}]}`))
	r.Header.Set("Content-Type", "application/json")
	_, refusal := stream.PublishGrant(httptest.NewRecorder(), r, g.hub, stream.Grant{})
	require.Equal(t, 403, refusal.Status)
}

// countingGate lets a number of streams in.
type countingGate struct {
	mu   sync.Mutex
	free int
}

func (c *countingGate) room() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.free
}

func (c *countingGate) Knock(r *http.Request) error {
	if r.Header.Get("X-Flood") != "" {
		return &stream.Error{Status: 429, Message: "flood", RetryAfter: time.Minute}
	}
	return nil
}

func (c *countingGate) Enter(*http.Request, *stream.Grant) (func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.free == 0 {
		return nil, &stream.Error{Status: 503, Message: "full"}
	}
	c.free--
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.free++
	}, nil
}

func (c *countingGate) Push(_ *http.Request, _ *stream.Grant, events, bytes int) error {
	if events*bytes > 100 {
		return &stream.Error{Status: 429, Message: "too much", RetryAfter: time.Second}
	}
	return nil
}

func (c *countingGate) left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.free
}

// What a gate counts is given back once, whatever became of the stream.
func TestGateGetsBackWhatItGave(t *testing.T) {
	gate := &countingGate{free: 3}
	eachGuarded(t, setup{options: []stream.Option{stream.WithGate(gate)}}, func(t *testing.T, g *guarded) {
		g.desk.set("t", stream.Grant{ID: "g", Read: patterns(t, "a"), Limits: stream.Limits{Connections: 7}})
		one, two, three := g.as("t", ""), g.as("t", ""), g.as("t", "")
		g.refused("t", "", 503, "", "full")
		require.Zero(t, gate.left())
		one.close() // the peer hangs up
		require.Eventually(t, func() bool { return gate.left() == 1 }, patience, time.Millisecond)
		g.sessions.RevokeGrant("g") // the hub ends them
		two.ended("revoked")
		three.ended("revoked")
		require.Eventually(t, func() bool { return gate.left() == 3 }, patience, time.Millisecond)

		g.refused("t", "topic=b", 403, "topic", `"b"`)                            // before it entered
		g.refused("t", "last_event_id=x&on_gap=refuse", 409, "last_event_id", "") // and after
		g.refused("t", "conflate=x", 400, "conflate", "")
		head, err := http.NewRequest(http.MethodHead, g.url+"/events", nil)
		require.NoError(t, err)
		head.Header.Set("Authorization", "t")
		resp, err := g.client.Do(head)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, 3, gate.left())
		flood := g.open("", "Authorization", "unknown", "X-Flood", "1")
		require.Equal(t, 429, flood.resp.StatusCode, "before the credentials are looked at")
		require.Equal(t, "60", flood.resp.Header.Get("Retry-After"))

		last := g.as("t", "")
		g.online(1)
		g.hub.Close()
		last.ended("closed")
		require.Eventually(t, func() bool { return gate.left() == 3 && g.sessions.Len() == 0 }, patience, time.Millisecond)
		h := stream.AuthorizedPush(g.hub, g.desk.authorize, stream.WithPushGate(gate))
		g.desk.set("all", stream.FullGrant("u"))
		status, _, _, header := g.pushAs(h, "all", `{"events":[{"data":"`+strings.Repeat("x", 100)+`"}]}`)
		require.Equal(t, 429, status)
		require.Equal(t, "1", header.Get("Retry-After"))
	})
}

package stream_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// wrongQueries are refused by every handler, with the name of what is wrong.
var wrongQueries = []struct{ query, field string }{
	{"last_event_id=ID%", "last_event_id"},
	{"last_event_id=%zz", "last_event_id"},
	{"uid=tom;jerry", "uid"},
	{"%=1", "%"},
	{"last_event_id=1&last_event_id=1", "last_event_id"},
	{"conflate=true&conflate=true", "conflate"},
	{"on_gap=tell&x=1&on_gap=refuse", "on_gap"},
	{"Last-Event-ID=7", "Last-Event-ID"},
	{"lastEventId=7", "lastEventId"},
	{"last_event=7&last_evnt_id=7", "last_evnt_id"},
	{"conflat=true", "conflat"},
	{"ongap=refuse", "ongap"},
	{"since=yesterday", "since"},
	{"since=", "since"},
	{"since=&last_event_id=7", "since"},
	{"since=-5m", "since"},
	{"since=%2B5m", "since"},
	{"since=-0d", "since"},
	{"since=106751d24h", "since"},
	{"since=1h&last_event_id=7", "since"},
	{"since=9999-12-31T23:59:59Z", "since"},
	{"=7", "query"},
	{"topic=a&=&x=1", "query"},
	{"on_gap=Refuse", "on_gap"},
	{"conflate=perhaps", "conflate"},
	{"may_wait=10ms", "may_wait"},
	{"may_wait=true&may_wait=true", "may_wait"},
	{"mayWait=true", "mayWait"},
}

// Invariant 12: a query that can't be parsed, or repeats or misspells what is ours,
// is refused by name; an embedder's own parameters are not our concern.
func TestQueriesAreStrict(t *testing.T) {
	hub := newHub(t, engine.WithLog(persist.NewMemory()))
	ask := func(query string, header ...string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodHead, "/events", nil)
		r.URL.RawQuery = query
		r.Header["Last-Event-Id"] = header
		stream.Handler(hub, nil).ServeHTTP(rec, r)
		return rec
	}
	for _, c := range wrongQueries {
		refused(t, ask(c.query), 400, c.field)
	}
	refused(t, ask("", "1", "2"), 400, "Last-Event-ID")
	refused(t, ask("", "7\xff"), 400, "Last-Event-ID")
	refused(t, ask("since=yesterday", "7"), 400, "since")
	for _, query := range []string{"", "&", "uid=a&uid=b", "token=x&topic=a&topic=b&map=1", "on_gap=&conflate=", "since=15m", "since=7d", "since=1d12h", "since=0",
		"since=2026-11-27T10:00:00Z", "last_event_id=earliest", "last_event_id=no+number"} {
		require.Equal(t, 200, ask(query).Code, query)
	}
	require.Equal(t, 200, ask("since=1h", "7").Code, "the header wins over what the first connection asked for")
}

// The first instant that can be written is a time like others: what is kept comes, from the beginning.
func TestSinceTheFirstInstant(t *testing.T) {
	s := newSite(t, modes[0], setup{hub: []engine.HubOption{engine.WithLog(persist.NewMemory())}})
	require.NoError(t, s.hub.Push(nil, &wire.Event{Data: "kept"}))
	for _, first := range []string{"0001-01-01T00:00:00Z", "0001-01-01T00:00:01Z"} {
		e, err := s.open("since=" + first).events.Next()
		require.NoError(t, err)
		require.Equal(t, "kept", e.Data)
	}
}

// ParseQuery takes nothing but what it is told of, and what is ours.
func TestParseQuery(t *testing.T) {
	parse := func(query string) (url.Values, error) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.RawQuery = query
		return stream.ParseQuery(r, []string{"uid"}, []string{"topic"})
	}
	got, err := parse("uid=tom&topic=a&topic=b%3Bc&last_event_id=7")
	require.NoError(t, err)
	require.Equal(t, url.Values{"uid": {"tom"}, "topic": {"a", "b;c"}, "last_event_id": {"7"}}, got)
	for query, field := range map[string]string{"topics=cpu": "topics", "uid=a&uid=b": "uid", "uid=a;b": "uid", "UID=a": "UID"} {
		_, err := parse(query)
		var e *stream.Error
		require.ErrorAs(t, err, &e, query)
		require.Equal(t, field, e.Field)
		require.Equal(t, 400, e.Status)
	}
	_, err = parse("topics=cpu")
	require.ErrorContains(t, err, "uid, topic, last_event_id", "what is taken is named")
}

// However many parameters there are, and however one is written, its values are found.
func TestQueryValues(t *testing.T) {
	for query, want := range map[string][]string{
		"uid=a&x=1": {"a"}, "u%69d=a&uid=b": {"a", "b"}, "uid=a" + strings.Repeat("&", 20_000): {"a"}, "user=a": nil, "a=%75id": nil, "": nil,
	} {
		got, err := stream.QueryValues(&http.Request{URL: &url.URL{RawQuery: query}}, "uid")
		require.NoError(t, err, "%.40s", query)
		require.Equal(t, want, got, "%.40s", query)
	}
	_, err := stream.QueryValues(&http.Request{URL: &url.URL{RawQuery: "uid=a&x=%zz"}}, "uid")
	var e *stream.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "x", e.Field)
}

// FuzzQuery: a query is either refused by a name, or means what net/url reads.
func FuzzQuery(f *testing.F) {
	for _, c := range wrongQueries {
		f.Add(c.query)
	}
	f.Add("uid=a&topic=%20+&&=&a=b=c")
	f.Add(strings.Repeat("a", 300) + "=1;")
	f.Fuzz(func(t *testing.T, raw string) {
		if strings.Count(raw, "&") >= 10_000 { // net/url takes no more
			return
		}
		r := &http.Request{URL: &url.URL{RawQuery: raw}}
		got, err := stream.ParseQuery(r, []string{"uid"}, []string{"topic"})
		want, parseErr := url.ParseQuery(raw)
		if err == nil {
			require.NoError(t, parseErr)
			require.Equal(t, want, got)
			require.LessOrEqual(t, len(got["uid"]), 1)
			return
		}
		e, ok := err.(*stream.Error)
		require.True(t, ok)
		require.True(t, utf8.ValidString(e.Field))
		require.LessOrEqual(t, len(e.Field), 70)
	})
}

// The year 1 is a time like any other, though it is Go's zero time.
func TestSinceTheBeginningOfTime(t *testing.T) {
	hub := newHub(t, engine.WithLog(persist.NewMemory()))
	require.NoError(t, hub.Push(nil, &wire.Event{Data: "kept"}))
	site := httptest.NewServer(stream.Handler(hub, nil))
	defer site.Close()
	defer hub.Close()
	for _, at := range []string{"0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "1960-01-01T00:00:00Z"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, site.URL+"?since="+at, nil)
		require.NoError(t, err)
		res, err := site.Client().Do(r)
		require.NoError(t, err)
		e, err := wire.NewDecoder(res.Body).Next()
		require.NoError(t, err, at)
		require.Equal(t, "kept", e.Data)
		cancel()
		res.Body.Close()
	}
}

// A client that can't be taken now gets a stream that ends at once and says when to
// come back, where that is asked for; what will not become true stays an error.
func TestLater(t *testing.T) {
	each(t, setup{options: []stream.Option{stream.WithMaxConns(1), stream.WithLater(7 * time.Second)}}, func(t *testing.T, s *site) {
		s.open("")
		s.online(1)
		st := s.openBy(s.newClient(), "")
		require.Equal(t, 200, st.resp.StatusCode)
		require.Equal(t, "text/event-stream", st.resp.Header.Get("Content-Type"))
		_, err := st.events.Next()
		require.Error(t, err, "an end, without an event")
		retry, told := st.events.Retry()
		require.True(t, told)
		require.Equal(t, 7*time.Second, retry)
		head, err := s.newClient().Head(s.url + "/events")
		require.NoError(t, err)
		require.Equal(t, 200, head.StatusCode, "HEAD says what GET would")
		require.Equal(t, "text/event-stream", head.Header.Get("Content-Type"))
		require.NoError(t, head.Body.Close())
		bad := s.openBy(s.newClient(), "on_gap=maybe")
		require.Equal(t, 400, bad.resp.StatusCode)
	})
}

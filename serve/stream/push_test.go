package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// post sends body to a push API and returns the answer.
func post(h http.Handler, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/push", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// accepted returns the IDs of a request that was published.
func accepted(t *testing.T, rec *httptest.ResponseRecorder) []string {
	t.Helper()
	require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
	var a struct{ IDs []string }
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &a))
	return a.IDs
}

func TestPushPublishes(t *testing.T) {
	each(t, setup{}, func(t *testing.T, s *site) {
		mine := s.openBy(s.newClient(), "uid=u001&topic=a")
		other := s.openBy(s.newClient(), "uid=u002")
		s.online(2)
		push := func(body string) []string {
			resp, err := s.client.Post(s.url+"/push", "application/json; charset=utf-8", strings.NewReader(body))
			require.NoError(t, err)
			defer resp.Body.Close()
			var a struct{ IDs []string }
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&a))
			require.Equal(t, 200, resp.StatusCode)
			return a.IDs
		}
		ids := push(`{"uids":["u001"],"events":[{"event":"message","data":"hello_world"}]}`)
		require.Equal(t, wire.Event{ID: ids[0], Event: "message", Data: "hello_world"}, mine.next())

		// Without uids, or with null: everyone.
		ids = push(`{"events":[{"data":"one"},{"data":"two","event":"x"}]}`)
		require.Len(t, ids, 2)
		push(` {"uids":null, "events":[{"data":"three","id":""}]} `)
		for _, st := range []*follower{mine, other} {
			st.expect("one", "two", "three")
		}

		// Any JSON but null: strings as their text, the rest compact.
		for data, want := range map[string]string{
			`""`:                       "",
			`"a\nb\r\nc\rd"`:           "a\nb\nc\nd",
			`"\u00e9\ud83d\uDE00"`:     "é😀",
			`"\\ud800 \\\ud83d\ude00"`: `\ud800 \😀`,
			`["\ud800"]`:               `["\ud800"]`,
			`0`:                        "0",
			`-1.50e3`:                  "-1.50e3",
			`12345678901234567890123`:  "12345678901234567890123",
			`false`:                    "false",
			`[ 1, "a b" , {} ]`:        `[1,"a b",{}]`,
			`{ "k" : "<&> \n" }`:       `{"k":"<&> \n"}`,
		} {
			push(`{"events":[{"data":` + data + `}]}`)
			mine.expect(want)
			other.expect(want)
		}

		// Topics and ephemeral events.
		push(`{"events":[{"data":"on topic","topic":"a","key":"k"}]}`)
		require.Equal(t, []string{""}, push(`{"events":[{"data":"passing","ephemeral":true}]}`))
		mine.expect("on topic", "passing")
		other.expect("passing")
	})
}

// wrongPushes are bodies that must be refused, with the field that is named.
var wrongPushes = []struct{ body, field string }{
	{``, ""},
	{`   `, ""},
	{`nonsense`, ""},
	{`null`, ""},
	{`[]`, ""},
	{`"text"`, ""},
	{`{`, ""},
	{`{"events":[{"data":"x"}]`, ""},
	{`{"events":[{"data":"x"}]}{}`, ""},
	{`{"events":[{"data":"x"}]} x`, ""},
	{`{"events":[{"data":"x"}],}`, ""},
	{`{"events":[{"data":"x"},]}`, ""},
	{"{\"events\":[{\"data\":\"\xff\"}]}", ""},
	{"{\"events\":[{\"data\":\"a\nb\"}]}", ""},
	{"\uFEFF" + `{"events":[{"data":"x"}]}`, ""},
	{`{}`, "events"},
	{`{"uids":["u"]}`, "events"},
	{`{"events":null}`, "events"},
	{`{"events":[]}`, "events"},
	{`{"events":{}}`, "events"},
	{`{"events":"x"}`, "events"},
	{`{"events":[{"data":"x"}],"events":[{"data":"y"}]}`, "events"},
	{`{"events":[null]}`, "events[0]"},
	{`{"events":[1]}`, "events[0]"},
	{`{"events":[{"data":"x"},[]]}`, "events[1]"},
	{`{"events":[{}]}`, "events[0].data"},
	{`{"events":[{"data":null}]}`, "events[0].data"},
	{`{"events":[{"data":"x"},{"event":"y"}]}`, "events[1].data"},
	{`{"events":[{"data":"x","data":"y"}]}`, "events[0].data"},
	{`{"events":[{"data":"x","event":1}]}`, "events[0].event"},
	{`{"events":[{"data":"x","event":null}]}`, "events[0].event"},
	{`{"events":[{"data":"x","event":"a\nid: 7"}]}`, "events[0].event"},
	{`{"events":[{"data":"x","event":"a\rb"}]}`, "events[0].event"},
	{`{"events":[{"data":"x","event":"a\u0000"}]}`, "events[0].event"},
	{`{"events":[{"data":"x","topic":"a\nb"}]}`, "events[0].topic"},
	{`{"events":[{"data":"x","topic":["a"]}]}`, "events[0].topic"},
	{`{"events":[{"data":"x","topic":""}]}`, "events[0].topic"}, // it would reach everyone
	{`{"events":[{"data":"x","key":"\r"}]}`, "events[0].key"},
	{`{"events":[{"data":"x","key":7}]}`, "events[0].key"},
	{`{"events":[{"data":"x","ephemeral":"yes"}]}`, "events[0].ephemeral"},
	{`{"events":[{"data":"x","ephemeral":1}]}`, "events[0].ephemeral"},
	{`{"events":[{"data":"x","id":"5"}]}`, "events[0].id"},
	{`{"events":[{"data":"x","id":"5\n\ndata: evil"}]}`, "events[0].id"},
	{`{"events":[{"data":"x","id":5}]}`, "events[0].id"},
	{`{"events":[{"data":"x","retry":5}]}`, "events[0].retry"},
	{`{"events":[{"data":"x","users":["u"]}]}`, "events[0].users"},
	{`{"events":[{"Data":"x"}]}`, "events[0].Data"},
	{`{"events":[{"data":"x","":1}]}`, "events[0]."},
	{`{"uids":[],"events":[{"data":"x"}]}`, "uids"},
	{`{"uids":"u","events":[{"data":"x"}]}`, "uids"},
	{`{"uids":{},"events":[{"data":"x"}]}`, "uids"},
	{`{"uids":["u"],"uids":null,"events":[{"data":"x"}]}`, "uids"},
	{`{"uids":[""],"events":[{"data":"x"}]}`, "uids[0]"},
	{`{"uids":["a",null],"events":[{"data":"x"}]}`, "uids[1]"},
	{`{"uids":["a",["b"]],"events":[{"data":"x"}]}`, "uids[1]"},
	{`{"uids":["a","b\u0000"],"events":[{"data":"x"}]}`, "uids[1]"},
	{`{"UIDs":["u"],"events":[{"data":"x"}]}`, "UIDs"},
	{`{"uid":["u"],"events":[{"data":"x"}]}`, "uid"},

	// The hub's own types.
	{`{"events":[{"data":"x","event":"gap"}]}`, "events[0].event"},
	{`{"events":[{"data":"x"},{"data":{"reason":"closed"},"event":"disconnect","ephemeral":true}]}`, "events[1].event"},
	{`{"events":[{"data":"x","event":"` + strings.Repeat("t", 257) + `"}]}`, "events[0].event"},

	// Text that can't be kept as it is.
	{`{"uids":["a","\ud800"],"events":[{"data":"x"}]}`, "uids[1]"},
	{`{"uids":["\uDBFF"],"events":[{"data":"x"}]}`, "uids[0]"},
	{`{"uids":["\udc00\ud800"],"events":[{"data":"x"}]}`, "uids[0]"},
	{`{"uids":["\ud800\ud800\udc00"],"events":[{"data":"x"}]}`, "uids[0]"},
	{`{"uids":["\ud800\n"],"events":[{"data":"x"}]}`, "uids[0]"},
	{`{"uids":["\\\ud800"],"events":[{"data":"x"}]}`, "uids[0]"},
	{`{"uids":[["\ud800"]],"events":[{"data":"x"}]}`, "uids[0]"},
	{`{"events":[{"data":"\ud83dx"}]}`, "events[0].data"},
	{`{"events":[{"data":"x","event":"\ud83d"}]}`, "events[0].event"},
	{`{"events":[{"data":"x","topic":"\ude00"}]}`, "events[0].topic"},
	{`{"events":[{"data":"x","key":"\ud83d\u0041"}]}`, "events[0].key"},
	{`{"events":[{"data":"x","id":"\ud83d"}]}`, "events[0].id"},
	{`{"events":[{"data":"x","\ud83d":1}]}`, "events[0].\uFFFD"},
}

// Malformed, mistyped or unknown input is a 400 that names the field, and
// nothing of the request is published, however good its first events are.
func TestPushRefusesByField(t *testing.T) {
	hub := newHub(t)
	h := stream.PushHandler(hub)
	before := hub.LastID()
	for _, c := range wrongPushes {
		rec := post(h, c.body)
		require.Equal(t, http.StatusBadRequest, rec.Code, "%s: %s", c.body, rec.Body)
		refused(t, rec, http.StatusBadRequest, c.field)
		require.Equal(t, before, hub.LastID(), c.body)
	}
	accepted(t, post(h, `{"events":[{"data":"x"}]}`))
}

func TestPushLimits(t *testing.T) {
	hub := newHub(t, engine.WithMaxEventSize(2000))
	h := stream.PushHandler(hub, stream.WithPushBodyLimit(10_000), stream.WithPushEventLimit(3))
	events := func(n int, data string) string {
		return `{"events":[` + strings.Repeat(`{"data":"`+data+`"},`, n-1) + `{"data":"` + data + `"}]}`
	}
	refused(t, post(h, events(4, "x")), 413, "events")
	refused(t, post(h, events(1, strings.Repeat("x", 10_000))), 413, "")
	refused(t, post(h, events(1, strings.Repeat("x", 3000))), 413, "events[0].data")
	lines := strings.Repeat(`\n`, 2000)
	require.Len(t, accepted(t, post(h, events(1, lines))), 1, "line ends count as they were sent")
	before := hub.LastID()
	tooLarge := refused(t, post(h, `{"events":[{"data":"x"},{"data":"`+lines+`x"}]}`), 413, "events[1].data")
	require.Contains(t, tooLarge.Error, "2001 bytes")
	a := refused(t, post(h, `{"`+strings.Repeat("n", 5000)+`":1}`), 400, strings.Repeat("n", 64)+"...")
	require.Less(t, len(a.Error), 100)
	require.Equal(t, before, hub.LastID())
	require.Len(t, accepted(t, post(h, events(3, "x"))), 3)

	small := newHub(t, engine.WithChanBufferSize(16))
	refused(t, post(stream.PushHandler(small), events(100, "x")), 413, "events")
}

func TestPushMethodAndContentType(t *testing.T) {
	hub := newHub(t)
	h := stream.PushHandler(hub)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("OPTIONS", "/push", nil))
	require.Equal(t, 204, rec.Code)
	require.Equal(t, "POST, OPTIONS", rec.Header().Get("Allow"))
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(method, "/push", strings.NewReader(`{"events":[{"data":"x"}]}`)))
		require.Equal(t, 405, rec.Code)
		require.Equal(t, "POST, OPTIONS", rec.Header().Get("Allow"))
	}
	const body = `{"events":[{"data":"x"}]}`
	before := hub.LastID()
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json/x", ";"} {
		refused(t, post(h, body, "Content-Type", kind), 415, "Content-Type")
	}
	// A browser sends a body without a type for any page, unasked.
	refused(t, post(h, body, "Content-Type", "", "Sec-Fetch-Site", "cross-site"), 415, "Content-Type")
	refused(t, post(h, body, "Content-Type", "", "Origin", "https://evil.example"), 415, "Content-Type")
	require.Equal(t, before, hub.LastID())

	for header, values := range map[string][]string{
		"Content-Encoding": {"gzip", "identity, gzip", "br", "utf-8"},
		"Content-Type":     {"", "application/json; charset=utf-16", "application/json; charset=latin1", "application/json; charset", "application/json, text/plain"},
	} {
		for _, value := range values {
			a := refused(t, post(h, body, header, value), 415, header)
			if header == "Content-Type" {
				require.Contains(t, a.Error, "application/json", "what is taken is named")
			}
		}
	}
	twice := httptest.NewRequest("POST", "/push", strings.NewReader(body))
	twice.Header["Content-Type"] = []string{"application/json", "text/plain"}
	rec = httptest.NewRecorder()
	h.ServeHTTP(rec, twice)
	refused(t, rec, 415, "Content-Type")
	require.Equal(t, before, hub.LastID())

	accepted(t, post(h, body, "Content-Encoding", "identity"))
	accepted(t, post(h, body, "Content-Type", "Application/JSON; charset=UTF-8"))
	accepted(t, post(h, body, "Origin", "https://allowed-by-cors.example"))
}

// sickLog is a log that answers when, and what, the test wants.
type sickLog struct {
	persist.Log
	answer chan error
}

func (l sickLog) Append(context.Context, []persist.Record) error { return <-l.answer }

// A hub that can't take the events is a 503: the client may try again.
func TestPushWhileTheHubCannot(t *testing.T) {
	const body = `{"events":[{"data":"x"}]}`
	closed := newHub(t)
	closed.Close()
	rec := post(stream.PushHandler(closed), body)
	refused(t, rec, 503, "")
	require.NotEmpty(t, rec.Header().Get("Retry-After"))
	refused(t, post(stream.PushHandler(closed), `{"events":[]}`), 400, "events")

	log := sickLog{persist.NewMemory(), make(chan error, 1)}
	hub := newHub(t, engine.WithLog(log))
	log.answer <- errors.New("disk on fire")
	a := refused(t, post(stream.PushHandler(hub), body), 503, "")
	require.NotContains(t, a.Error, "fire", "the cause is for the log")
	a = refused(t, post(stream.PushHandler(hub, stream.WithPushTimeout(10*time.Millisecond)), body), 503, "")
	require.Contains(t, a.Error, "may or may not")
	log.answer <- nil
}

// No byte of a pushed event can add a field, an event or a header to anybody's
// stream: what is refused leaves no trace, what is taken arrives as one event.
func TestPushCannotInjectFrames(t *testing.T) {
	each(t, setup{}, func(t *testing.T, s *site) {
		st := s.open("topic=t")
		s.online(1)
		attacks := []string{
			"a\n\nevent: evil\ndata: evil\n\n", "a\r\revent: evil\rdata: evil\r\r", "a\r\n\r\nid: 1\r\n\r\n",
			"\nid: 99999999999999999999", "\n:", "\n\n\n\n", "\r", "retry: 1\nretry: 1", "\u2028\u2029\u0085\v\f", "\ufeffdata: x", "nul\x00nul",
			"HTTP/1.1 200 OK\r\n\r\n",
		}
		quote := func(v string) string { b, _ := json.Marshal(v); return string(b) }
		var want []wire.Event
		for i, a := range attacks {
			for _, field := range []string{"event", "topic", "id", "key"} {
				resp, err := s.client.Post(s.url+"/push", "application/json",
					strings.NewReader(`{"events":[{"data":"evil","`+field+`":`+quote(a)+`}]}`))
				require.NoError(t, err)
				resp.Body.Close()
				if resp.StatusCode == 200 && field != "topic" {
					// No line end in it: legal, and one event.
					require.NotContains(t, a, "\n")
					e := st.next()
					require.Equal(t, "evil", e.Data)
					if field == "event" {
						require.Equal(t, a, e.Event)
					}
				}
			}
			resp, err := s.client.Post(s.url+"/push", "application/json",
				strings.NewReader(`{"events":[{"topic":"t","event":"n`+fmt.Sprint(i)+`","data":`+quote(a)+`}]}`))
			require.NoError(t, err)
			var got struct{ IDs []string }
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&got))
			resp.Body.Close()
			require.Equal(t, 200, resp.StatusCode)
			text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(a)
			want = append(want, wire.Event{ID: got.IDs[0], Event: fmt.Sprint("n", i), Data: text})
			require.Equal(t, want[i], st.next())
		}
		retry, _ := st.events.Retry()
		require.EqualValues(t, 3000, retry.Milliseconds(), "as the greeting said")
		s.hub.Close()
		st.ended("closed")
	})
}

// FuzzPush: whatever the body, either all of it is published or nothing, and
// what is refused is refused with a 4xx.
func FuzzPush(f *testing.F) {
	for _, c := range wrongPushes {
		f.Add([]byte(c.body))
	}
	f.Add([]byte(`{"uids":["u001"],"events":[{"event":"message","data":"hello_world"},{"data":{"a":[1,2.5e3,null]}}]}`))
	f.Add([]byte(`{"uids":null,"events":[{"data":"\ud800","topic":"t","key":"k","ephemeral":true,"id":""}]}`))
	hub := newHub(f, engine.WithMaxEventSize(1<<12))
	h := stream.PushHandler(hub, stream.WithPushBodyLimit(1<<14), stream.WithPushEventLimit(64))
	f.Fuzz(func(t *testing.T, body []byte) {
		before := hub.Stats().Events
		rec := post(h, string(body))
		published := hub.Stats().Events - before
		switch {
		case rec.Code == http.StatusOK:
			require.EqualValues(t, len(accepted(t, rec)), published)
			require.NotZero(t, published)
			// encoding/json, though laxer, must see the same number of events.
			var loose struct{ Events []map[string]any }
			require.NoError(t, json.Unmarshal(body, &loose))
			require.Len(t, loose.Events, int(published))
		case rec.Code >= 400 && rec.Code < 500:
			require.Zero(t, published)
			var a answer
			require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &a))
			require.NotEmpty(t, a.Error)
		default:
			t.Fatalf("status %d: %s", rec.Code, rec.Body)
		}
	})
}

package run_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/calibrate"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/run"
	"github.com/spatehub/spate/loadtest/stamp"
)

// own serves a deployment that publishes by itself: each stream gets the frames.
func own(t *testing.T, frames func(send func(format string, args ...any)), then http.HandlerFunc) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		_ = control.Flush()
		frames(func(format string, args ...any) {
			_, _ = fmt.Fprintf(w, format, args...)
			_ = control.Flush()
		})
		then(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func stays(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// listen is a configuration that only listens.
func listen(url string, mode string) config.Config {
	c := quick()
	c.Adapter, c.Publish, c.URL, c.Mode, c.Streams = "none", false, url+"/", mode, 3
	c.Duration, c.Events, c.Drain, c.Try = 300*time.Millisecond, 0, 500*time.Millisecond, false
	return c
}

func eachMode(t *testing.T, body func(t *testing.T, mode string)) {
	for _, mode := range []string{config.ModeRaw, config.ModePortable} {
		t.Run(mode, func(t *testing.T) {
			if mode == config.ModeRaw && !config.RawSupported() {
				t.Skip("raw mode needs Linux")
			}
			body(t, mode)
		})
	}
}

// A deployment that publishes by itself: events, bytes, types, gaps, silence, IDs
// and delays are measured without a stamp; what needs one is not, and no threshold
// on it holds.
func TestDeploymentThatPublishesByItself(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		url := own(t, func(send func(string, ...any)) {
			stampOf := func(ago time.Duration) string { return time.Now().Add(-ago).Format(time.RFC3339Nano) }
			send("id: 1\ndata: {\"ts\":%q,\"n\":[{\"x\":1}]}\n\n", stampOf(time.Hour/2))
			send("id: 2\nevent: price\ndata: {\"ts\":%q}\n\n:\n", stampOf(time.Hour/2))
			send("id: 2\nevent: price\ndata: {\"ts\":%q}\n\n", stampOf(time.Hour/2))       // again
			send("id: 9\nevent: price\ndata: {\"ts\":%d}\n\n", time.Now().UnixMilli()+1e7) // in the future
			send("id: 5\nevent: odd\ndata: no json\n\n")                                   // below 9, without a time
		}, stays)
		c := listen(url, mode)
		c.TimeFrom, c.Silence = "json:$.ts", 50*time.Millisecond
		c.Expect = []string{
			"events==15", "type.price.events==9", "type.odd.bytes==21B", "id-duplicates==3", "id-disorder==3", "silences==3", "delay.p99>29m",
			"type.price.delay.p50>29m", "first-event.p99<1m", "gap.max<1m", "silence>=250ms",
			"lost==0", "deliveries>=0", "duplicates==0", "published>=0", "server.cpu<1", "p99<1h", "type.none.delay.p50<1h", "completions>=0",
		}
		r := conduct(t, c)
		for i, e := range r.Verdict.Expectations {
			require.Equal(t, i < 11, e.OK, "%s: %s", e.Text, e.Got)
			if i >= 11 {
				require.Equal(t, "not measured", e.Got, e.Text)
			}
		}
		require.Equal(t, report.ExitUnexpected, r.ExitCode())
		require.True(t, r.Checks.Unchecked)
		require.EqualValues(t, 3, r.Events.DelayAhead)
		require.EqualValues(t, 3, r.Events.DelayNone)
		require.EqualValues(t, 3, r.Events.Comments)
		require.Equal(t, 3, r.Events.Silent)
		require.Equal(t, []string{"price", "message", "odd"}, r.Events.TypeNames())
		require.EqualValues(t, 9, r.Events.Delay.Count)
		require.Contains(t, strings.Join(r.Verdict.Warnings, "\n"), "SILENCE: 3 times")
	})
}

// A service that stamps its own events is checked as if loadtest had published: what
// is passed over, doubled, damaged and late is told, and the delay.
func TestServiceThatStampsItsEvents(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		url := own(t, func(send func(string, ...any)) {
			s := stamp.NewSequence(0xabc, 1)
			for i := range 20 {
				b := s.Event(nil, stamp.Broadcast, 0, time.Now().Add(-time.Hour/2), []byte(`{"price":1}`))
				switch i {
				case 3:
					continue // lost
				case 5:
					send("data: %s\n\n", b) // doubled
				case 7:
					b[len(b)-4] ^= 1 // damaged
				}
				send("data: %s\n\n", b)
			}
		}, stays)
		c := listen(url, mode)
		c.RunID, c.Connections = "abc", 2
		c.Expect = []string{"lost==6", "duplicates==3", "corrupt==3", "deliveries==54", "misaddressed==0", "deliveries>=90%"}
		r := conduct(t, c)
		for _, e := range r.Verdict.Expectations {
			require.True(t, e.OK, "%s: %s", e.Text, e.Got)
		}
		require.True(t, r.Checks.Elsewhere)
		require.False(t, r.Checks.Unchecked)
		var b strings.Builder
		r.Table(&b)
		require.NotContains(t, b.String(), "nothing lost")
	})
}

// The answers of a language model: a marker or the end of the response is success, all else is told apart, and each
// request has its row of the data.
func TestFiniteStreams(t *testing.T) {
	type request struct {
		method, body, auth string
	}
	eachMode(t, func(t *testing.T, mode string) {
		got := make(chan request, 10_000)
		var n atomic.Int64
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got <- request{r.Method, string(b), r.Header.Get("Authorization")}
			k := n.Add(1)
			if k%10 == 7 {
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			w.Header().Set("Content-Type", "text/event-stream")
			control := http.NewResponseController(w)
			_, _ = io.WriteString(w, "data: {\"role\":\"assistant\"}\n\n")
			for i := range 4 {
				_, _ = fmt.Fprintf(w, "data: {\"delta\":{\"content\":\"w%d\"}}\n\n", i)
				_ = control.Flush()
			}
			switch {
			case k%10 == 3: // ends without the marker
			case k%10 == 5: // cut off
				panic(http.ErrAbortHandler)
			default:
				_, _ = io.WriteString(w, "data: [DONE]\n\n")
				_ = control.Flush()
				<-r.Context().Done() // the marker ends it, not the server
			}
		}))
		srv.Config.ErrorLog = nil
		t.Cleanup(srv.Close)
		c := listen(srv.URL, mode)
		c.Finite, c.EndMarker, c.TokenFrom, c.Think = true, "[DONE]", "json:$.delta.content", "5ms-10ms"
		c.Method, c.Body, c.Header = "POST", `{"prompt":{{json .Row.prompt}}}`, []string{"Authorization: Bearer {{.Row.key}}"}
		c.Rows = []config.Row{{"prompt": `say "a"`, "key": "k0"}, {"prompt": strings.Repeat("long ", 50_000), "key": "k1"}}
		c.Retry, c.Duration, c.Streams = 10*time.Millisecond, 2*time.Second, 4
		r := conduct(t, c)
		for n.Load() <= 20 && c.Duration < time.Minute { // the machine was busy
			c.Duration *= 3
			n.Store(0)
			for len(got) > 0 {
				<-got
			}
			r = conduct(t, c)
		}
		f := r.Completions
		require.NotNil(t, f)
		total := n.Load()
		require.Greater(t, total, int64(20))
		require.EqualValues(t, (total+7)/10+(total+5)/10, f.Truncated)
		require.EqualValues(t, (total+3)/10, f.Refused)
		require.EqualValues(t, total, f.Completed+f.Truncated+f.Refused)
		require.EqualValues(t, 4*(f.Completed+f.Truncated), f.Tokens)
		require.Equal(t, f.Completed+f.Truncated, f.Token.Count)
		require.Equal(t, 3*(f.Completed+f.Truncated), f.Between.Count)
		require.Equal(t, f.Completed, f.Whole.Count)
		require.Zero(t, f.Unfinished)
		require.Zero(t, r.Streams.Disconnects)
		require.Equal(t, f.Truncated+f.Refused, r.Errors.Total(), "success is no error: %v", r.Errors)
		for k := range total {
			x := <-got
			var body struct{ Prompt string }
			require.NoError(t, json.Unmarshal([]byte(x.body), &body))
			require.Equal(t, "POST", x.method)
			require.Contains(t, []string{"Bearer k0", "Bearer k1"}, x.auth, "request %d", k)
			require.Equal(t, c.Rows[map[string]int{"Bearer k0": 0, "Bearer k1": 1}[x.auth]]["prompt"], body.Prompt)
		}
	})
}

// Requests on schedule: an open model. Where the server holds all streams, what is
// due meanwhile waits, and its wait is in the time to the first token.
func TestArrivals(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		var n atomic.Int64
		url := own(t, func(send func(string, ...any)) {
			n.Add(1)
			send("data: first\n\n")
			hold := time.NewTimer(50 * time.Millisecond)
			defer hold.Stop()
			<-hold.C
			send("data: last\n\n")
		}, func(http.ResponseWriter, *http.Request) {})
		c := listen(url, mode)
		c.Finite, c.Arrivals, c.Streams, c.Duration, c.Drain = true, "100/s", 2, 500*time.Millisecond, 5*time.Second
		r := conduct(t, c)
		f := r.Completions
		require.EqualValues(t, n.Load(), f.Completed)
		require.EqualValues(t, 50, f.Completed+f.Unstarted, "each arrival is served or said not to have been")
		require.NotZero(t, f.Unstarted, "two streams of 50 ms serve 40 in a second")
		require.Greater(t, f.Token.Max, int64(100*time.Millisecond), "the wait for a free stream counts")
		require.Zero(t, f.Truncated)
	})
}

// A server that answers no request with a stream ends the run with the reason.
func TestFiniteServerThatRefuses(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(srv.Close)
	c := listen(srv.URL, config.ModeAuto)
	c.Finite = true
	_, err := run.Run(t.Context(), c, nil)
	require.ErrorContains(t, err, "status 403")
}

// Streams that the server tells to stay away do, are owed nothing from then on, and
// are not waited for.
func TestToldToStayAway(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		var connections atomic.Int64
		c, cal := w.serve(t, calibrate.Faults{EndAfter: 60, Gate: func(rw http.ResponseWriter, r *http.Request) bool {
			if connections.Add(1) <= 10 {
				return false
			}
			rw.WriteHeader(http.StatusNoContent)
			return true
		}})
		c.Retry, c.Try, c.Drain = 20*time.Millisecond, false, time.Minute
		r := conduct(t, c)
		require.Less(t, r.Seconds.Drain, 50.0)
		require.Equal(t, 10, r.Streams.SentAway)
		require.Zero(t, r.Streams.Offline)
		require.Zero(t, r.Checks.Lost)
		require.EqualValues(t, 10*200-cal.Truth().Sent, r.Checks.MissedAway)
		require.EqualValues(t, 10*60, r.Deliveries.Count)
		require.EqualValues(t, 20, connections.Load(), "nobody asks a second time")
	})
}

// A storm is marked where it was.
func TestStormIsMarked(t *testing.T) {
	c, _ := ways[len(ways)-3].serve(t, calibrate.Faults{})
	c.Storms, c.Events, c.Duration, c.Rate = []config.Storm{{At: 100 * time.Millisecond, Share: 0.5}}, 0, 300*time.Millisecond, "100/s"
	r := conduct(t, c)
	require.Len(t, r.Marks, 1)
	require.Equal(t, "storm 50 %", r.Marks[0].Text)
	require.Greater(t, r.Marks[0].At, r.Seconds.Ramp+r.Seconds.Settle+0.1)
	require.Less(t, r.Marks[0].At, r.Timeline[len(r.Timeline)-1].At)
	require.Equal(t, 1, r.Streams.Tried, "the stream that tried the URL is told of")
}

// An interrupted run has measured nothing to its end.
func TestInterruptedExpectations(t *testing.T) {
	c, _ := ways[3].serve(t, calibrate.Faults{})
	c.Events, c.Rate, c.Expect = 0, "100/s", []string{"lost==0"}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	r, err := run.Run(ctx, c, nil)
	if err != nil {
		require.ErrorIs(t, err, run.ErrInterrupted)
		return
	}
	require.Equal(t, report.ExitInterrupted, r.ExitCode())
}

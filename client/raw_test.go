package client_test

import (
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// The zero-copy iterator sees what the other sees, and the position follows.
func TestRawEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, stream("id: 4\ndata: a\n\nid: \xff\nevent: x\ndata: \xff\ndata: c\n\n"), streamAndStay("data: d\n\n"))
		c := srv.newClient(t)
		var called, got []string
		c.OnEvent("x", func(e *wire.Event) { called = append(called, e.Data.(string)) })
		for raw, err := range c.RawEvents(t.Context()) {
			require.NoError(t, err)
			got = append(got, fmt.Sprintf("%s|%s|%s|%s", raw.ID, raw.Event, raw.Data, c.LastEventID()))
			if len(got) == 3 {
				break
			}
		}
		require.Equal(t, []string{"4||a|4", "\xff|x|\xff\nc|\ufffd", "\ufffd||d|\ufffd"}, got)
		require.Equal(t, []string{"\ufffd\nc"}, called)
		require.Equal(t, "\ufffd", srv.got()[1].header.Get("Last-Event-ID"))
		<-c.Wait()
	})
}

func TestRawEventsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for raw, err := range newServer(t, status(404)).newClient(t).RawEvents(t.Context()) {
			require.Nil(t, raw)
			wantStatus(t, 404, err)
		}
	})
}

// endlessBody is an event stream that a RoundTripper makes up.
func endlessBody(event string) http.RoundTripper {
	return roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}},
			Body: io.NopCloser(&repeated{text: event}),
		}, nil
	})
}

type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) {
		k := copy(p[n:], r.text[r.at:])
		n += k
		r.at = (r.at + k) % len(r.text)
	}
	return n, nil
}

// Guard rail: an event costs no allocation in the zero-copy mode, with the idle
// time-out, the client's position and an end mark being looked after.
func TestRawEventsAllocateNothing(t *testing.T) {
	event := "id: 1718000000000001\nevent: order\ndata: " + strings.Repeat("x", 150) + "\n\n"
	hc := &http.Client{Transport: endlessBody(event)}
	c := client.NewClient("http://hub.test/", client.WithHTTPClient(hc), client.WithEndData("[DONE]"))
	next, stop := iter.Pull2(c.RawEvents(t.Context()))
	defer stop()
	one := func() {
		if _, err, ok := next(); err != nil || !ok {
			t.Fatal(err, ok)
		}
	}
	for range 10_000 {
		one()
	}
	require.Zero(t, testing.AllocsPerRun(10_000, one))
}

func BenchmarkClient(b *testing.B) {
	event := "id: 1718000000000001\nevent: order\ndata: " + strings.Repeat("x", 158) + "\n\n" // 200 bytes
	hc := &http.Client{Transport: endlessBody(event)}
	b.Run("zero copy", func(b *testing.B) {
		b.SetBytes(int64(len(event)))
		b.ReportAllocs()
		n := 0
		for _, err := range client.NewClient("http://hub.test/", client.WithHTTPClient(hc)).RawEvents(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n >= b.N {
				break
			}
		}
	})
	b.Run("events", func(b *testing.B) {
		b.SetBytes(int64(len(event)))
		b.ReportAllocs()
		n := 0
		for _, err := range client.NewClient("http://hub.test/", client.WithHTTPClient(hc)).Events(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n >= b.N {
				break
			}
		}
	})
}

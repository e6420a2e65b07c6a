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

// One op is one event of 200 bytes. GB/s-CPU is by user and system time of the whole
// process: what one core parses, however busy the machine is.
func BenchmarkClient(b *testing.B) {
	event := "id: 1718000000000001\nevent: order\ndata: " + strings.Repeat("x", 158) + "\n\n"
	const size = 200
	require.Len(b, event, size)
	hc := &http.Client{Transport: endlessBody(event)}
	newClient := func() *client.SSEClient { return client.NewClient("http://hub.test/", client.WithHTTPClient(hc)) }
	measured := func(b *testing.B, read func(more func() bool) error) {
		b.SetBytes(size)
		b.ReportAllocs()
		n, begin := 0, cpuTime(b)
		if err := read(func() bool { n++; return n < b.N }); err != nil {
			b.Fatal(err)
		}
		if used := cpuTime(b) - begin; used > 0 {
			b.ReportMetric(float64(size)*float64(b.N)/float64(used.Nanoseconds()), "GB/s-CPU")
		}
	}
	b.Run("zero copy", func(b *testing.B) {
		measured(b, func(more func() bool) error {
			for _, err := range newClient().RawEvents(b.Context()) {
				if err != nil || !more() {
					return err
				}
			}
			return nil
		})
	})
	b.Run("events", func(b *testing.B) {
		measured(b, func(more func() bool) error {
			for _, err := range newClient().Events(b.Context()) {
				if err != nil || !more() {
					return err
				}
			}
			return nil
		})
	})
}

package client_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// A hub's gap is told as a notice, and is an event all the same; what another
// server calls so is an event only.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay(
			"event: gap\ndata: {\"from\":\"7\",\"to\":\"9\"}\n\n"+
				"event: gap\nid: 10\ndata: {\"from\":\"7\",\"to\":\"9\"}\n\n"+
				"event: gap\ndata: mind it\n\nevent: gap\ndata: {\"width\":7}\n\n"+
				"event: other\ndata: {\"from\":\"7\",\"to\":\"9\"}\n\n"))
		c := srv.newClient(t, client.WithLastEventID("7"))
		var gaps []client.Gap
		c.OnGap(func(g client.Gap) { gaps = append(gaps, g) })
		n, parsed := 0, 0
		for e, err := range c.Events(t.Context()) {
			require.NoError(t, err)
			if g, ok := client.ParseGap(e); ok {
				require.Equal(t, client.Gap{From: "7", To: "9"}, g)
				parsed++
			}
			if n++; n == 5 {
				break
			}
		}
		require.Equal(t, []client.Gap{{From: "7", To: "9"}}, gaps)
		require.Equal(t, 2, parsed, "an iterator's event does not know whose ID it has")
	})
}

// A hub may tell a position without an event, at the beginning or before its end:
// the client resumes from there.
func TestPositionWithoutEvent(t *testing.T) {
	for name, text := range map[string]string{
		"a block of its own":  ": spate\nretry: 3000\nid: 42\n\nevent: disconnect\ndata: {\"reason\":\"closed\"}\n\n",
		"before the end":      ": spate\nretry: 3000\n:\nid: 42\n\nevent: disconnect\ndata: {\"reason\":\"closed\"}\n\n",
		"with the disconnect": "event: disconnect\nid: 42\ndata: {\"reason\":\"closed\"}\n\n",
		"after everything":    "id: 42\n\n:\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, stream(text), streamAndStay(""))
				c := srv.newClient(t)
				var lost []error
				c.OnError(func(err error) { lost = append(lost, err) })
				require.NoError(t, c.Connect())
				elapse(time.Hour)
				require.Equal(t, "42", srv.got()[1].header.Get("Last-Event-ID"))
				require.Len(t, lost, 1)
				if name != "after everything" {
					require.Equal(t, "closed", endReason(lost[0]))
				}
			})
		})
	}
}

// A comment does not come after its stream's end.
func TestCommentsEndWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, streamAndStay(":a\n:b\ndata: x\n\n")).newClient(t)
		n := 0
		c.OnComment(func(string) { n++; c.Disconnect() })
		c.OnEvent(client.EveryType, func(*wire.Event) { n++ })
		require.NoError(t, c.Connect())
		<-c.Wait()
		require.Equal(t, 1, n)
	})
}

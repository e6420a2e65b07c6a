package client_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// endReason is the reason of an EndError, "" for another error.
func endReason(err error) string {
	var end *client.EndError
	errors.As(err, &end)
	if end == nil {
		return ""
	}
	return end.Reason
}

// A hub's disconnect event tells OnError why, and is no event for the
// application unless that asks for it; the client resumes all the same.
func TestDisconnectEventTellsWhyAndIsNoEvent(t *testing.T) {
	for _, asks := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t,
				stream("id: 4\ndata: 1\n\nevent: disconnect\ndata: {\"reason\":\"overflow\"}\n\n"),
				stream("event: disconnect\ndata: {\"reason\":\"closed\"}\n\n"),
				stream("event: close\ndata: bye\n\n"))
			c := srv.newClient(t, onClose)
			var ends, called []string
			c.OnError(func(err error) { ends = append(ends, endReason(err)) })
			if asks {
				c.OnEvent("disconnect", func(e *wire.Event) { called = append(called, e.Data.(string)) })
			}
			got, err := collect(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, []string{"overflow", "closed"}, ends)
			require.Equal(t, "4", srv.got()[1].header.Get("Last-Event-ID"))
			require.Equal(t, "4", srv.got()[2].header.Get("Last-Event-ID"))
			if !asks {
				require.Equal(t, []string{"message 1", "close bye"}, got)
				return
			}
			require.Equal(t, []string{`{"reason":"overflow"}`, `{"reason":"closed"}`}, called)
			require.Len(t, got, 4)
		})
	}
}

// An event of an application that happens to have the same type is told by its
// ID, or by other data; and a reason counts only where the stream ends with it.
func TestApplicationEventsOfTheSameTypeArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t,
			stream("id: 1\nevent: disconnect\ndata: {\"reason\":\"tired\"}\n\n"),
			stream("event: disconnect\ndata: bob\n\n"),
			stream("event: disconnect\ndata: {\"user\":7}\n\n"),
			stream("event: disconnect\ndata: {\"reason\":\"odd\"}\n\nid: 2\ndata: more\n\n"),
			stream("event: close\ndata: bye\n\n"))
		c := srv.newClient(t, onClose)
		var ends []string
		c.OnError(func(err error) { ends = append(ends, endReason(err)) })
		got, err := collect(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, []string{`disconnect {"reason":"tired"}`, "disconnect bob", `disconnect {"user":7}`, "message more", "close bye"}, got)
		require.Equal(t, []string{"tired", "", "", ""}, ends, "an ID of its own does not hide a reason from OnError, nor a reason the event from the loop")
	})
}

// A stream that brought nothing but its end does not count as healthy: a hub
// that turns everybody away is not hammered.
func TestDisconnectEventDoesNotResetTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, stream("event: disconnect\ndata: {\"reason\":\"history\"}\n\n"))
		c := srv.newClient(t, client.WithReconnectInterval(time.Second), client.WithMaxBackoff(time.Hour))
		require.NoError(t, c.Connect())
		elapse(24 * time.Hour)
		require.Less(t, len(srv.got()), 200, "waits grow to an hour")
	})
}

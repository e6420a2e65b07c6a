package sse_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/sse"
)

func resumeAfter(id string) client.Option { return client.WithLastEventID(id) }

// Close sends clients away for good, Close(false) lets them come back.
func TestClose(t *testing.T) {
	hub, url := newSite(t)
	c, _ := follow(t, hub, url, "u1")
	require.Eventually(t, c.GetConnectStatus, patience, time.Millisecond) // the hub knows it first
	hub.Close()
	select {
	case <-c.Wait():
		require.NoError(t, c.Err())
		require.False(t, c.GetConnectStatus())
	case <-time.After(patience):
		require.Fail(t, "the client goes on after the hub has said that it is closed")
	}
}

func TestCloseThatLetsReconnect(t *testing.T) {
	hub, url := newSite(t)
	c, _ := follow(t, hub, url, "u1")
	hub.Close(false)
	require.Eventually(t, func() bool { return !c.GetConnectStatus() }, patience, time.Millisecond)
	select {
	case <-c.Wait():
		require.Fail(t, "the client has ended", "%v", c.Err())
	default:
	}
}

// Connect does not wait for the server, which may come later.
func TestConnectBeforeTheServer(t *testing.T) {
	up := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !up {
			up = true
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("data: hello\n\n"))
	}))
	defer server.Close()
	c := sse.NewClient(server.URL, sse.WithClientReconnectTimeInterval(time.Millisecond))
	got := make(chan *sse.Event, 100)
	c.OnEvent(sse.DefaultEventType, func(e *sse.Event) {
		select {
		case got <- e:
		default:
		}
	})
	require.NoError(t, c.Connect())
	require.Error(t, c.Connect(), "once is enough")
	require.Equal(t, "hello", next(t, got).Data)
	c.Disconnect()
	c.Disconnect()
	<-c.Wait()
}

// A server that does not want the client is not asked again, and Err says why.
func TestRefused(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	c := sse.NewClient(server.URL)
	require.NoError(t, c.Connect())
	<-c.Wait()
	var status *client.StatusError
	require.ErrorAs(t, c.Err(), &status)
}

package stream_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/stream"
)

// pushOf is a body with so many users and events.
func pushOf(users, events int) string {
	var b strings.Builder
	b.WriteString(`{"uids":[`)
	for i := range users {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"u%d"`, i)
	}
	b.WriteString(`],"events":[` + strings.Repeat(`{"data":"x"},`, events-1) + `{"data":"x"}]}`)
	return b.String()
}

// A small body can name very many deliveries: users, and users × events, are
// bounded, whatever the order of the two, and what is refused leaves no trace.
func TestPushBoundsUsersAndDeliveries(t *testing.T) {
	hub := newHub(t)
	h := stream.PushHandler(hub)
	before := hub.LastID()
	refused(t, post(h, pushOf(10_001, 1)), 413, "uids")
	refused(t, post(h, pushOf(1001, 100)), 413, "uids")
	last := `{"events":[` + strings.Repeat(`{"data":"x"},`, 99) + `{"data":"x"}],"uids":[` + strings.Repeat(`"u",`, 1000) + `"u"]}`
	refused(t, post(h, last), 413, "uids")
	require.Equal(t, before, hub.LastID())
	require.Len(t, accepted(t, post(h, pushOf(10_000, 1))), 1)

	narrow := stream.PushHandler(hub, stream.WithPushUserLimit(2))
	refused(t, post(narrow, pushOf(3, 1)), 413, "uids")
	accepted(t, post(narrow, pushOf(2, 1)))
	accepted(t, post(stream.PushHandler(hub, stream.WithPushUserLimit(-1)), pushOf(3, 1)))
}

// slowBody begins a push over a new connection and sends the first of its body.
func slowBody(t *testing.T, server *httptest.Server, contentType string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	_, err = fmt.Fprintf(c, "POST /push HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n{", contentType)
	require.NoError(t, err)
	return c
}

// A body that does not arrive holds nothing for ever: the request is answered
// by 408, and the connection, on which the rest may come, is closed. So it is
// where the request is refused before its body is read.
func TestPushBodyIsBoundedInTime(t *testing.T) {
	const limit = 50 * time.Millisecond
	for name, c := range map[string]struct {
		option      stream.PushOption
		server      time.Duration // ReadTimeout
		contentType string
		status      int
	}{
		"option":       {stream.WithPushBodyTimeout(limit), 0, "application/json", 408},
		"server":       {stream.WithPushBodyTimeout(time.Hour), limit, "application/json", 408},
		"refused type": {stream.WithPushBodyTimeout(limit), 0, "text/plain", 415},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(stream.PushHandler(newHub(t), c.option))
			server.Config.ReadTimeout = c.server
			server.Start()
			defer server.Close()
			conn := slowBody(t, server, c.contentType)
			answers := bufio.NewReader(conn)
			resp, err := http.ReadResponse(answers, nil)
			require.NoError(t, err)
			require.Equal(t, c.status, resp.StatusCode)
			var a answer
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&a))
			require.NotEmpty(t, a.Error)
			_, err = answers.ReadByte()
			require.ErrorIs(t, err, io.EOF, "the connection is closed")
		})
	}
}

// Over HTTP/2 the stream alone ends: other requests of the connection go on.
func TestPushBodyIsBoundedInTimeOverHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(stream.PushHandler(newHub(t), stream.WithPushBodyTimeout(50*time.Millisecond)))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	never, end := io.Pipe()
	defer end.Close()
	resp, err := server.Client().Post(server.URL, "application/json", never)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 2, resp.ProtoMajor)
	require.Equal(t, http.StatusRequestTimeout, resp.StatusCode)
}

// The deadline is for the body alone: a hub that takes longer than it is still
// waited for. That it has passed is seen by a body that began later.
func TestPushBodyTimeoutDoesNotCutTheHub(t *testing.T) {
	log := sickLog{persist.NewMemory(), make(chan error)}
	hub := newHub(t, engine.WithLog(log))
	server := httptest.NewServer(stream.PushHandler(hub, stream.WithPushBodyTimeout(50*time.Millisecond)))
	defer server.Close()
	got := make(chan int, 1)
	go func() {
		resp, err := server.Client().Post(server.URL, "application/json", strings.NewReader(`{"events":[{"data":"x"}]}`))
		if err != nil {
			got <- 0
			return
		}
		resp.Body.Close()
		got <- resp.StatusCode
	}()
	require.Eventually(t, func() bool { return hub.LastID() != 0 && hub.Stats().Events == 1 }, patience, time.Millisecond)
	late := slowBody(t, server, "application/json")
	_, err := io.Copy(io.Discard, late)
	require.NoError(t, err)
	select {
	case status := <-got:
		require.Fail(t, "answered before the log", "status %d", status)
	case log.answer <- nil:
	}
	require.Equal(t, http.StatusOK, <-got)
}

package stream_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// A client may ask to be refused rather than told of a gap; a wish that is none
// is refused with its name.
func TestClientAsksToBeRefusedAtAGap(t *testing.T) {
	hub := newHub(t, engine.WithEnableResendEvents())
	h := stream.Handler(hub, nil)
	ask := func(query string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodHead, "/events?"+query, nil))
		return rec
	}
	require.Equal(t, http.StatusOK, ask("last_event_id=7").Code, "without the wish it is told in the stream")
	require.Equal(t, http.StatusOK, ask("last_event_id=7&on_gap=tell").Code)
	refused(t, ask("last_event_id=7&on_gap=refuse"), http.StatusConflict, "last_event_id")
	require.Equal(t, http.StatusOK, ask("on_gap=refuse").Code, "nothing to resume, no gap")
	refused(t, ask("on_gap=maybe"), http.StatusBadRequest, "on_gap")
	refused(t, ask("conflate=perhaps"), http.StatusBadRequest, "conflate")
	require.Equal(t, http.StatusOK, ask("conflate=true").Code)
}

// What is wrong is named by what the client said: the time to begin at, not an ID that it did not send.
func TestRefusedGapNamesTheTime(t *testing.T) {
	log := persist.NewMemory(persist.WithRetention(persist.Retention{MaxCount: 1}))
	hub := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents())
	for range 10 {
		require.NoError(t, hub.Push(nil, &wire.Event{Data: "x"}))
	}
	require.Eventually(t, func() bool { return log.Floor(nil) > 0 }, patience, time.Millisecond)
	rec := httptest.NewRecorder()
	stream.Handler(hub, nil).ServeHTTP(rec, httptest.NewRequest(http.MethodHead, "/events?since=1h&on_gap=refuse", nil))
	refused(t, rec, http.StatusConflict, "since")
}

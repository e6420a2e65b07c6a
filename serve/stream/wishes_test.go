package stream_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
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

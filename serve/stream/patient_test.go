package stream_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// heard is a ResponseWriter that another goroutine may look at.
type heard struct {
	http.ResponseWriter
	mu   sync.Mutex
	body strings.Builder
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.body.Write(p)
}

func (h *heard) Flush() {}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.body.String()
}

// A stream is patient that asks for it, or of which the embedder says so, on a hub that
// has patience.
func TestPatientStreams(t *testing.T) {
	byHeader := stream.WithPatient(func(r *http.Request) bool { return r.Header.Get("Save-Data") == "on" })
	for _, c := range []struct {
		query, header string
		hub           time.Duration
		waits         bool
	}{
		{"", "", time.Second, false},
		{"may_wait=", "", time.Second, false},
		{"may_wait=false", "", time.Second, false},
		{"may_wait=true", "", time.Second, true},
		{"may_wait=1", "", time.Second, true},
		{"may_wait=true", "", 0, false},
		{"", "on", time.Second, true},
		{"may_wait=false", "on", time.Second, true},
		{"", "on", 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			hub := newHub(t, engine.WithPatience(c.hub), engine.WithHeartbeat(-1))
			ctx, cancel := context.WithCancel(t.Context())
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events?"+c.query, nil)
			r.Header.Set("Save-Data", c.header)
			rec, done := &heard{ResponseWriter: httptest.NewRecorder()}, make(chan struct{})
			go func() {
				stream.Handler(hub, nil, byHeader).ServeHTTP(rec, r)
				close(done)
			}()
			synctest.Wait()
			for _, data := range []string{"one", "two"} {
				require.NoError(t, hub.Push(nil, &wire.Event{Data: data}))
				synctest.Wait()
			}
			require.Equal(t, !c.waits, strings.Contains(rec.String(), "data: two\n"), "%+v", c)
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, 2, strings.Count(rec.String(), "data: "))
			cancel()
			<-done
		})
	}
}

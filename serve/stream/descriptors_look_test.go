package stream

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
)

// A look at the descriptors serves for an eighth of the room that there was, with the
// reserve of who asks, and for 50 ms.
func TestALookAtDescriptorsServesAPart(t *testing.T) {
	now := time.Now()
	serves := func(room int, after time.Duration, reserve int) (n int) {
		look := &descriptorLook{at: now, limit: 1000, lowest: 1000 - 125 - room}
		for n < 1000 && look.serves(now.Add(after), reserve) {
			n++
		}
		return n
	}
	require.Equal(t, 100, serves(800, 0, 0))
	require.Equal(t, 100, serves(800, 49*time.Millisecond, 0))
	require.Zero(t, serves(800, 50*time.Millisecond, 0))
	require.Equal(t, 50, serves(800, 0, 525))
	require.Zero(t, serves(800, 0, 925))
	require.Zero(t, serves(7, 0, 0), "near the reserve each one looks")
}

// Streams are let in by the last look until it is used up, and then look anew.
func TestStreamsLookAtDescriptorsNowAndThen(t *testing.T) {
	hub := engine.NewHub()
	defer hub.Close()
	defer ForgetDescriptors()
	ask := func() {
		Handler(hub, nil).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodHead, "/events", nil))
	}
	look := &descriptorLook{at: time.Now().Add(time.Hour), limit: 1000, lowest: 1000 - 125 - 16} // room for 16: two streams
	lastLook.Store(look)
	ask()
	ask()
	require.Same(t, look, lastLook.Load())
	ask()
	require.NotSame(t, look, lastLook.Load())
}

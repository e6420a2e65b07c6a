package stream_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

// Streams are refused while descriptors are left, pushes are not, and it is
// counted; the reserve can be set. The test takes descriptors up to a limit of its
// own.
func TestStreamsLeaveDescriptors(t *testing.T) {
	var was unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	const limit = 250
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: was.Max}))
	defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was)) }()
	require.Equal(t, limit, stream.DescriptorStats().Limit)
	require.Equal(t, limit/8, stream.DescriptorStats().Reserve)

	hub := newHub(t, engine.WithEnableResendEvents())
	ask := func(opts ...stream.Option) *httptest.ResponseRecorder {
		stream.ForgetDescriptors()
		rec := httptest.NewRecorder()
		stream.Handler(hub, nil, opts...).ServeHTTP(rec, httptest.NewRequest(http.MethodHead, "/events", nil))
		return rec
	}
	var held []*os.File
	defer func() {
		for _, f := range held {
			f.Close()
		}
	}()
	take := func(left int) {
		for {
			f, err := os.Open(os.DevNull)
			require.NoError(t, err)
			held = append(held, f)
			if int(f.Fd()) >= limit-left-1 {
				return
			}
		}
	}
	before := stream.DescriptorStats().Refused
	take(100)
	require.Equal(t, 200, ask().Code)
	require.Equal(t, 503, ask(stream.WithDescriptorReserve(150)).Code)
	take(limit / 8)
	rec := ask()
	require.Equal(t, 503, rec.Code)
	require.NotEmpty(t, rec.Header().Get("Retry-After"))
	require.Equal(t, 200, ask(stream.WithDescriptorReserve(5)).Code)
	require.Equal(t, 200, ask(stream.WithDescriptorReserve(-1)).Code)
	require.Equal(t, before+2, stream.DescriptorStats().Refused)

	// The connection that is refused is one of those that there are too many of: it goes, in whatever form that is said.
	stream.ForgetDescriptors()
	for _, opts := range [][]stream.Option{nil, {stream.WithLater(time.Second)}} {
		rec := httptest.NewRecorder()
		stream.Handler(hub, nil, opts...).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/events", nil))
		require.Equal(t, "close", rec.Header().Get("Connection"))
	}
	accepted(t, post(stream.PushHandler(hub), `{"events":[{"data":"x"}]}`))
}

package run_test

import (
	"encoding/pem"
	"maps"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/calibrate"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/run"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// Whatever a server does wrong, in whatever order, is counted, each thing exactly as
// often as it was done, and nothing else is: over every way of reading. The deeds
// are drawn from a seed; LOADTEST_SEED replays one.
func TestHostileServer(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if env, err := strconv.ParseUint(os.Getenv("LOADTEST_SEED"), 10, 64); err == nil {
		seed = env
	}
	t.Logf("replay with LOADTEST_SEED=%d", seed)
	eachWay(t, func(t *testing.T, w way) {
		r, truth := hostile(t, w, seed)
		t.Logf("%v", truth)
		kinds := maps.Clone(truth.Kinds)
		for _, k := range []string{
			"drop", "double", "swap", "misaddress", "truncate", "flip", "wrong type", "no ID", "ID that is no number", "ID backwards", "reset in a frame",
			"resume too early", "resume too late", "resume ignored", "refused", "statuses before the head", "split at every byte", "LF", "CRLF", "CR",
		} {
			require.NotZero(t, kinds[k], k)
			delete(kinds, k)
		}
		if w.identity {
			require.NotZero(t, kinds["chunks split anywhere"])
			delete(kinds, "chunks split anywhere")
		}
		require.Empty(t, kinds)
		type counts struct {
			Delivered, Lost, Doubled, Disorder, Corrupt, Misaddressed, IDDisorder, IDMissing, Ended, Errors, Resumed int64
		}
		require.Equal(t,
			counts{
				truth.Delivered, truth.Lost, truth.Doubled, truth.Disorder, truth.Corrupt, truth.Misaddressed,
				truth.IDDisorder, truth.IDMissing, truth.Ended, truth.Ended + truth.Refused, truth.Resumed,
			},
			counts{
				r.Deliveries.Count, int64(r.Checks.Lost), r.Checks.Duplicates, r.Checks.Disorder, r.Checks.Corrupt, r.Checks.Misaddressed,
				r.Checks.IDDisorder, r.Checks.IDMissing, r.Streams.Disconnects, r.Errors.Total(), r.Streams.Resumed,
			}, "%v", r.Errors)
		require.EqualValues(t, truth.Delivered+truth.Lost, r.Deliveries.Expected)
		require.Zero(t, r.Checks.MissedAway)
		if w.identity && runtime.GOOS == "linux" {
			require.NotZero(t, r.Errors["read: reset by the server"], "a reset of the connection is told apart from its end: %v", r.Errors)
		}
		if w.http2 {
			require.NotZero(t, r.Errors["read: reset by the server (INTERNAL_ERROR)"], "%v", r.Errors)
		}
	})
}

// hostile conducts a run, again with more patience where the machine was so busy that
// the run was over before the server had sent everything.
func hostile(t *testing.T, w way, seed uint64) (*report.Result, calibrate.Hostilities) {
	for patience := 3 * time.Second; patience < 5*time.Minute; patience *= 3 {
		h := calibrate.NewHostile(seed, "tick")
		h.Bare = w.identity
		srv := httptest.NewUnstartedServer(h)
		srv.EnableHTTP2 = w.http2
		c := quick()
		if w.tls {
			srv.StartTLS()
			c.CACert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
		} else {
			srv.Start()
		}
		c.URL, c.Mode, c.HTTP2, c.Procs, c.Fork = srv.URL, w.mode, w.http2, max(w.fork, 1), w.fork > 0
		c.Try, c.EventType, c.CheckIDs, c.Users, c.Connections = false, "tick", true, 2000, 1
		c.ConnectTimeout = time.Minute
		c.Streams, c.Events, c.Retry, c.Drain = 20, 300, 10*time.Millisecond, patience
		var cut bool // as of the last look, which is the end of the run
		r, err := run.Run(t.Context(), c, func(p report.Point, _ *session.Stats) { cut = h.Busy() || p.Open < 20 })
		srv.Close()
		require.NoError(t, err)
		if !cut {
			return r, h.Truth()
		}
	}
	require.Fail(t, "the server was never done in time")
	return nil, calibrate.Hostilities{}
}

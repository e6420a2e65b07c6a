package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/loadtest/http1"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/hist"
	"github.com/spatehub/spate/loadtest/internal/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Shares of streams are exact, and evenly spread over processes.
func TestRoles(t *testing.T) {
	for _, x := range []struct {
		slow, stall float64
		n           int
		want        map[session.Role]int
	}{
		{0, 0, 10, map[session.Role]int{session.Normal: 10}},
		{0.1, 0.2, 1000, map[session.Role]int{session.Normal: 700, session.Slow: 100, session.Stalled: 200}},
		{0, 0.01, 1000, map[session.Role]int{session.Normal: 990, session.Stalled: 10}},
		{0.5, 0.5, 8, map[session.Role]int{session.Slow: 4, session.Stalled: 4}},
		{1, 0, 3, map[session.Role]int{session.Slow: 3}},
	} {
		all, firstHalf := map[session.Role]int{}, map[session.Role]int{}
		for n := range x.n {
			r := fleet.Role(n, x.slow, x.stall)
			all[r]++
			if n < x.n/2 {
				firstHalf[r]++
			}
		}
		require.Equal(t, x.want, all)
		for r, n := range all {
			require.InDelta(t, n/2, firstHalf[r], 1)
		}
	}
}

func TestAddresses(t *testing.T) {
	u, err := url.Parse("http://127.0.0.1:8080/events")
	require.NoError(t, err)
	c := config.Default()
	c.URL, c.Streams = u.String(), 60_000
	a, err := fleet.NewAddresses(&c)
	require.NoError(t, err)
	per := map[string]int{}
	for n := range c.Streams {
		per[a.Source(n).String()]++
		require.Equal(t, "127.0.0.1:8080", a.HostPort(n, u))
	}
	for src, n := range per {
		require.LessOrEqual(t, n, 28_000, src)
	}

	c.Sources, c.Dests = []string{"127.0.0.7", "127.0.0.8"}, []string{"127.0.0.1", "127.0.0.2:9000", "[::1]:1"}
	a, err = fleet.NewAddresses(&c)
	require.NoError(t, err)
	pairs := map[string]int{}
	for n := range 600 {
		pairs[a.Source(n).String()+" "+a.HostPort(n, u)]++
	}
	require.Len(t, pairs, 6, "every pair of addresses is used")
	for _, n := range pairs {
		require.Equal(t, 100, n)
	}
	dest, err := a.Dest(2, u)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.2:9000", dest.String())

	c = config.Default()
	c.URL, c.Streams = "https://example.invalid/", 90_000
	a, err = fleet.NewAddresses(&c)
	require.NoError(t, err)
	require.False(t, a.Source(1).IsValid(), "only to loopback are sources chosen")
	u, err = url.Parse(c.URL)
	require.NoError(t, err)
	require.Equal(t, "example.invalid:443", a.HostPort(0, u))
}

// Where streams move, each connects at the next address each time.
func TestAddressesInTurn(t *testing.T) {
	u, err := url.Parse("http://127.0.0.1:8080/events")
	require.NoError(t, err)
	c := config.Default()
	c.URL, c.Streams, c.Move, c.Dests = u.String(), 2, 1, []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}
	a, err := fleet.NewAddresses(&c)
	require.NoError(t, err)
	for _, want := range []string{"1", "2", "3", "1"} {
		require.Equal(t, "127.0.0.1:"+want, a.HostPort(0, u))
	}
	require.Equal(t, "127.0.0.1:2", a.HostPort(1, u))
}

func TestKinds(t *testing.T) {
	for want, err := range map[string]error{
		fleet.KindClosed:                              io.EOF,
		"x: refused":                                  &net.OpError{Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"x: reset by the server":                      syscall.ECONNRESET,
		"x: timed out":                                fmt.Errorf("wrapped: %w", context.DeadlineExceeded),
		"x: name not resolved":                        &net.DNSError{},
		"x: too many open files":                      syscall.EMFILE,
		"x: no route to host":                         syscall.EHOSTUNREACH,
		"not HTTP/1.1":                                fmt.Errorf("%w: junk", http1.ErrMalformed),
		"x: something else altogether":                errors.New("tls: something else altogether"),
		"x: no free local port (spread with -source)": syscall.EADDRNOTAVAIL,
		"x: reset by the server (CANCEL)":             errors.New("get: stream ID 3197; CANCEL; received from peer"),
		"x: PROTOCOL_ERROR":                           errors.New("stream ID 5; PROTOCOL_ERROR"),
	} {
		require.Equal(t, want, fleet.Kind("x", err))
	}
}

func TestLagMeter(t *testing.T) {
	m, err := fleet.NewLagMeter()
	require.NoError(t, err)
	var h hist.Hist
	require.Eventually(t, func() bool {
		m.Collect(&h)
		return h.Count() >= 3
	}, 1e10, 1e6)
	require.NoError(t, m.Close())
}

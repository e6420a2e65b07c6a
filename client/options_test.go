package client

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Zero, negative and nil mean the default, as the options say; but a negative
// idle time-out means none.
func TestOptionsOutOfRange(t *testing.T) {
	for _, v := range []int{0, -1, math.MinInt} {
		d := time.Duration(v)
		c := NewClient("http://hub.test/", WithReconnectInterval(d), WithMaxBackoff(d), WithIdleTimeout(0),
			WithMaxEventSize(v), WithLogger(nil), WithHTTPClient(nil), WithHeaders(nil), WithLastEventID(""))
		want := defaultConfig()
		want.headers = map[string]string{}
		require.Equal(t, want, c.cfg)
	}
	require.Equal(t, 60*time.Second, defaultConfig().idleTimeout)
	require.Nil(t, newIdleTimer(NewClient("", WithIdleTimeout(-1)).cfg.idleTimeout, nil))
	require.Equal(t, 24*time.Hour, NewClient("", WithMaxBackoff(math.MaxInt64)).cfg.maxBackoff)
}

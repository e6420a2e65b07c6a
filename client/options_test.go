package client

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Zero, negative and nil mean the default, as the options say.
func TestOptionsOutOfRange(t *testing.T) {
	for _, v := range []int{0, -1, math.MinInt} {
		d := time.Duration(v)
		c := NewClient("http://hub.test/", WithReconnectInterval(d), WithMaxBackoff(d), WithIdleTimeout(d),
			WithMaxEventSize(v), WithLogger(nil), WithHTTPClient(nil), WithHeaders(nil), WithLastEventID(""))
		want := defaultConfig()
		want.headers = map[string]string{}
		require.Equal(t, want, c.cfg)
	}
	require.Equal(t, 24*time.Hour, NewClient("", WithMaxBackoff(math.MaxInt64)).cfg.maxBackoff)
}

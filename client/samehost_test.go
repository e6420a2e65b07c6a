package client

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// Credentials go where host and port are the same and the way is as safe.
func TestSameHost(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		want     bool
	}{
		{"http://a/", "http://a:80/x", true},
		{"https://a:443/", "https://A/", true},
		{"http://a/", "https://a/", true},
		{"https://a/", "http://a/", false},
		{"https://a:80/", "http://a:443/", false},
		{"http://a:8080/", "https://a/", false},
		{"http://a/", "https://a:8443/", false},
		{"http://a/", "http://a:8080/", false},
		{"http://a/", "http://b.a/", false},
		{"http://[::1]/", "http://[::1]:80/", true},
	} {
		from, err := url.Parse(tc.from)
		require.NoError(t, err)
		to, err := url.Parse(tc.to)
		require.NoError(t, err)
		require.Equal(t, tc.want, sameHost(from, to), "%v to %v", from, to)
	}
}

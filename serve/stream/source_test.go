package stream

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddressOf(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:1234":              "192.0.2.7",
		"[::ffff:192.0.2.7]:1234":     "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:1234": "2001:db8:1:2::/64",
		"[2001:db8:1:2::1%eth0]:1234": "2001:db8:1:2::/64",
		"[fe80::1%25eth0]:1234":       "fe80::/64",
		"@":                           "",
		"":                            "",
		"localhost:80":                "",
	} {
		require.Equal(t, want, addressOf(&http.Request{RemoteAddr: remote}), remote)
	}
}

package stream

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// wrapper is middleware's writer, as far as headSent is concerned.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// The server's writer has the field that headSent looks at: where a release of Go
// renames it, wrapped streams would lose the cheap way without this test.
func TestHeadSentKnowsTheServersWriter(t *testing.T) {
	var before, after, unknown bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		before = headSent(wrapper{w})
		w.WriteHeader(200)
		after = headSent(wrapper{w})
	}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	require.NoError(t, err)
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	require.False(t, before)
	require.True(t, after)

	type foreign struct{ http.ResponseWriter }
	unknown = headSent(wrapper{&foreign{}})
	require.False(t, unknown, "a wrapped writer of which nothing is known")
	require.True(t, headSent(&foreign{}))
}

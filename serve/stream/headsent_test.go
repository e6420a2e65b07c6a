package stream

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// wrapper is middleware's writer, as far as passedOn is concerned.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// The server's writer has the fields that passedOn looks at: where a release of Go
// renames them, wrapped streams would lose the cheap way without this test.
func TestPassedOnKnowsTheServersWriter(t *testing.T) {
	type foreign struct{ http.ResponseWriter }
	var before, after, more, other bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		before = passedOn(wrapper{w}, 0)
		w.WriteHeader(200)
		after = passedOn(wrapper{w}, 0)
		_, _ = w.Write([]byte("greeting"))
		more = passedOn(wrapper{w}, len("greeting"))
		require.False(t, passedOn(wrapper{w}, 0), "it has more")
		require.False(t, passedOn(wrapper{w}, 9), "some of the body is held back")
		other = passedOn(wrapper{&foreign{w}}, 8)
		require.True(t, passedOn(wrapper{w}, 8), "also after another type was looked at")
	}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	require.NoError(t, err)
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	require.False(t, before)
	require.True(t, after)
	require.True(t, more)
	require.False(t, other, "a wrapped writer of which nothing is known")
	require.True(t, passedOn(&foreign{}, 0))
}

package stream_test

import (
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/stream"
)

// Behind Gin, whose writer refuses to be hijacked once it has seen the first comment, a
// stream needs no goroutine either.
func TestGinsSocketsAreTakenOver(t *testing.T) {
	before := stream.TransportStats().Socket
	s := newGin(t, newHub(t), func(*gin.Context) {})
	st := s.open("uid=u1")
	s.online(1)
	require.Equal(t, before+1, stream.TransportStats().Socket)
	s.push("u1", "hello")
	st.expect("hello")
	st.close()
	s.online(0)
	require.Eventually(t, func() bool { return stream.TransportStats().Socket == before }, patience, time.Millisecond)
}

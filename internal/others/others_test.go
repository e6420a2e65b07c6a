package others_test

import (
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/others"
)

// TestAwaitListen: it is over when somebody listens, when the process has ended, or when it is late.
func TestAwaitListen(t *testing.T) {
	port, err := others.FreePort()
	require.NoError(t, err)
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	ended := make(chan struct{})
	require.ErrorContains(t, others.AwaitListen(addr, time.Nanosecond, ended), "nobody listens")
	close(ended)
	require.ErrorContains(t, others.AwaitListen(addr, time.Minute, ended), "has ended")
	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, others.AwaitListen(addr, time.Minute, nil))
}

// TestMissing: what is not here is told with the way to get it; what the environment names is taken.
func TestMissing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("LOADTEST_CENTRIFUGO", "")
	_, err := others.Centrifugo()
	require.ErrorContains(t, err, "go install github.com/centrifugal/centrifugo/v6@"+others.CentrifugoVersion)
	_, err = others.Nchan()
	require.ErrorContains(t, err, "apt-get install")
	t.Setenv("LOADTEST_CENTRIFUGO", filepath.Join(dir, "gone"))
	_, err = others.Centrifugo()
	require.Error(t, err)
}

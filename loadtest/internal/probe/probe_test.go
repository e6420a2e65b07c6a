package probe_test

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/probe"
)

func TestProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	s, err := probe.New(t.Context(), os.Getpid(), "")
	require.NoError(t, err)
	require.Eventually(t, func() bool { // it uses processor time meanwhile
		sample, err := s.Read(t.Context())
		return err == nil && sample.CPU > 0 && sample.RSS > 1<<20
	}, 30*time.Second, time.Millisecond)
	require.NotZero(t, probe.OwnCPU())
	require.Greater(t, probe.OwnRSS(), int64(1<<20))
	_, err = probe.New(t.Context(), 999_999_999, "")
	require.ErrorContains(t, err, "no such process")
	none, err := probe.New(t.Context(), 0, "")
	require.NoError(t, err)
	require.Nil(t, none)
	require.NotEmpty(t, probe.ThisMachine().Kernel)
}

func TestMetrics(t *testing.T) {
	text := "# HELP process_cpu_seconds_total x\nprocess_cpu_seconds_total 12.5\nprocess_resident_memory_bytes 1.048576e+06 1795000000000\nother{a=\"b c\"} 1\n"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	defer srv.Close()
	s, err := probe.New(t.Context(), 0, srv.URL)
	require.NoError(t, err)
	got, err := s.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, probe.Sample{CPU: 12500 * time.Millisecond, RSS: 1 << 20}, got)
	for _, text = range []string{"", "process_cpu_seconds_total 1\n", "process_cpu_seconds_total x\n", "process_resident_memory_bytes x\n"} {
		_, err := s.Read(t.Context())
		require.ErrorContains(t, err, "-server-metrics", text)
	}
}

func TestFileLimit(t *testing.T) {
	require.NoError(t, probe.NeedFiles(10, ""))
	require.Positive(t, probe.FileLimit())
	if runtime.GOOS == "linux" {
		require.ErrorContains(t, probe.NeedFiles(math.MaxInt, "use more"), "use more")
	}
}

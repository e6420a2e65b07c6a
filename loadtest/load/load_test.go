package load_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/loadtest/internal/calibrate"
	"github.com/spatehub/spate/loadtest/load"
)

func TestMain(m *testing.M) {
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	load.Main()
	goleak.VerifyTestMain(m)
}

// The same work in one process and in three gives the same counts.
func TestWorkersMergedEqualOneProcess(t *testing.T) {
	counts := func(procs int) [5]int64 {
		srv := httptest.NewServer(calibrate.New(calibrate.Faults{Drop: 10, Double: 9, Misaddress: 8, Corrupt: 11}))
		defer srv.Close()
		c := load.Default()
		c.URL, c.Streams, c.Procs, c.Fork = srv.URL, 12, procs, procs > 1
		c.Connections, c.Rate, c.Events, c.Settle, c.MaxLag = 1, "1000/s", 100, 0, 0
		c.Drain = time.Second
		r, err := load.Run(t.Context(), c)
		require.NoError(t, err)
		require.EqualValues(t, r.Deliveries.Count, r.Latency.Count)
		require.EqualValues(t, 12, r.Streams.Opened)
		return [5]int64{r.Deliveries.Count, int64(r.Checks.Lost), r.Checks.Duplicates, r.Checks.Misaddressed, r.Checks.Corrupt}
	}
	require.Equal(t, counts(1), counts(3))
}

func TestMetric(t *testing.T) {
	r := &load.Result{}
	_, err := load.Metric(r, "p99")
	require.ErrorIs(t, err, load.ErrNotMeasured)
	r.Latency.Count, r.Latency.P99 = 1, 5
	v, err := load.Metric(r, "p99")
	require.NoError(t, err)
	require.EqualValues(t, 5, v)
	_, err = load.Metric(r, "speed")
	require.Error(t, err)
}

func ExampleRun() {
	server := httptest.NewServer(calibrate.New(calibrate.Faults{}))
	defer server.Close()
	c := load.Default()
	c.URL, c.Streams, c.Rate, c.Events = server.URL, 10, "100/s", 20
	r, err := load.Run(context.Background(), c)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Deliveries.Count, "deliveries,", r.Checks.Lost, "lost")
	// Output: 200 deliveries, 0 lost
}

package browsertest_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The measurement of TestCostOfTheOpenDashboard.
const (
	costConnections = 10_000
	costRounds      = 3
	costTime        = 3 * time.Second // of each part of a round
)

// TestCostOfTheOpenDashboard measures what the page costs a hub that has 10,000 connections, in turns with and without it:
// the processor time of the hub while nothing is pushed, and for each delivery while something is. It wants a machine with
// nothing else to do, a hub without the race detector (HUB_UNDER_TEST) and room for 10,000 descriptors, so that it runs only
// where SPATETEST_DASHBOARD_COST is set.
func TestCostOfTheOpenDashboard(t *testing.T) {
	if os.Getenv("SPATETEST_DASHBOARD_COST") == "" {
		t.Skip("it measures: set SPATETEST_DASHBOARD_COST=1, and HUB_UNDER_TEST to a hub without the race detector")
	}
	h := startPlain(t, "--heartbeat", "1m")
	hold(t, h, costConnections)
	ctx, _ := chromium(t)
	page := &chromiumTab{ctx: ctx}
	var idle, delivery [2][]float64 // without, with the page
	var shownAfter []float64        // ms from the page's load to true figures
	for range costRounds {
		for i, open := range []func(){
			func() { page.navigate(t, "about:blank") },
			func() {
				page.navigate(t, h.base+"/#overview")
				await(t, page, shown("overview")+` && `+live+` && `+figure("clients")+` === "10,001"`)
				shownAfter = append(shownAfter, get[float64](t, page, "performance.now()"))
			},
		} {
			open()
			time.Sleep(time.Second) // what opening costs is another figure
			idle[i] = append(idle[i], 100*busy(t, h, func() { time.Sleep(costTime) })/costTime.Seconds())
			before := delivered(t, h)
			used := busy(t, h, func() { load(t, h, costTime) })
			delivery[i] = append(delivery[i], 1e6*used/(delivered(t, h)-before))
		}
	}
	t.Logf("percent of a processor without a push: %.2f without the page, %.2f with it: %+.2f", median(idle[0]), median(idle[1]), median(idle[1])-median(idle[0]))
	t.Logf("µs of a processor for a delivery: %.2f without the page, %.2f with it", median(delivery[0]), median(delivery[1]))
	t.Logf("ms from the page's load until it shows all connections: %.0f", shownAfter)
	t.Logf("rounds: idle %.2f, deliveries %.2f", idle, delivery)
	require.Len(t, idle[1], costRounds)
}

// hold opens n streams that are read until the test ends.
func hold(t *testing.T, h *hub, n int) {
	t.Helper()
	var reading sync.WaitGroup
	dialer := net.Dialer{}
	ctx, cancel := context.WithCancel(context.Background())
	var conns []net.Conn
	t.Cleanup(func() {
		cancel()
		for _, c := range conns {
			c.Close()
		}
		reading.Wait()
	})
	for range n {
		c, err := dialer.DialContext(ctx, "tcp", h.address())
		require.NoError(t, err)
		conns = append(conns, c)
		_, err = fmt.Fprintf(c, "GET /events?topic=load HTTP/1.1\r\nHost: %s\r\n\r\n", h.address())
		require.NoError(t, err)
		reading.Go(func() { _, _ = io.Copy(io.Discard, c) })
	}
	require.Eventually(t, func() bool { return clients(t, h) == n }, patience, 50*time.Millisecond)
}

// load pushes two events a second to everybody for a while, and waits until they are delivered.
func load(t *testing.T, h *hub, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		post(t, h, `{"events":[{"topic":"load","data":"`+strings.Repeat("x", 200)+`"}]}`)
	}
	require.Eventually(t, func() bool { return stats(t, h.base)["hub"].(map[string]any)["pending"] == 0.0 }, patience, 10*time.Millisecond)
}

func delivered(t *testing.T, h *hub) float64 {
	t.Helper()
	return stats(t, h.base)["hub"].(map[string]any)["delivered"].(float64)
}

// busy is for how many seconds the hub's process had a processor while fn ran.
func busy(t *testing.T, h *hub, fn func()) float64 {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	before := processTime(t, h.cmd.Process.Pid)
	fn()
	return (processTime(t, h.cmd.Process.Pid) - before).Seconds()
}

// processTime adds up the time of all threads. Those of a Go program stay.
func processTime(t *testing.T, pid int) (sum time.Duration) {
	t.Helper()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	require.NoError(t, err)
	for _, thread := range threads {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, thread.Name()))
		require.NoError(t, err)
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		require.NoError(t, err)
		sum += time.Duration(ns)
	}
	return sum
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

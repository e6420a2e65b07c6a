package metrics_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/metrics"
	"github.com/spatehub/spate/wire"
)

// BenchmarkScrape is one answer to Prometheus by a hub that counts 10,000 topics and shows some of them, as the standalone hub
// does, or all.
func BenchmarkScrape(b *testing.B) {
	const topics = 10_000
	hub := engine.NewHub(engine.WithLogger(slog.New(slog.DiscardHandler)), engine.WithLog(persist.NewMemory()), engine.WithTopicFigures(topics))
	defer hub.Close()
	for i := range topics {
		require.NoError(b, hub.Push(nil, &wire.Event{Topic: "orders.europe.customer-" + strconv.Itoa(i), Data: "x"}))
	}
	for _, shown := range []int{100, topics} {
		b.Run(fmt.Sprint("shown=", shown), func(b *testing.B) {
			h := metrics.Handler(hub, metrics.WithTopics(shown))
			var n int64
			for b.Loop() {
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
				n, _ = io.Copy(io.Discard, rec.Body)
			}
			b.ReportMetric(float64(n), "B/answer")
		})
	}
}

package pebblelog_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// BenchmarkKept is a page of 100 topics of a log of a million records: 10,000 topics that take turns, so that each record has
// a key of the index of its own, or 100, so that counting ends with its budget.
func BenchmarkKept(b *testing.B) {
	for _, topics := range []int{10_000, 100} {
		b.Run(fmt.Sprint("topics=", topics), func(b *testing.B) {
			l, err := pebblelog.Open(b.TempDir(), pebblelog.WithSync(false))
			require.NoError(b, err)
			defer l.Close()
			const records, batch = 1_000_000, 50
			recs := make([]persist.Record, batch)
			for id := uint64(1); id <= records; id += batch {
				for i := range recs {
					n := id + uint64(i)
					recs[i] = persist.Record{ID: n, Topic: fmt.Sprint("t", n%uint64(topics)), Frame: logtest.Frame(n, 0)}
				}
				require.NoError(b, l.Append(ctx, recs))
			}
			page := make([]string, 100)
			for i := range page {
				page[i] = fmt.Sprint("t", i)
			}
			var found int
			for b.Loop() {
				kept, err := l.Kept(ctx, page)
				require.NoError(b, err)
				found = 0
				for _, k := range kept {
					found += k.Records
				}
			}
			b.ReportMetric(float64(found), "counted/page")
		})
	}
}

package engine_test

import (
	"flag"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/stretchr/testify/require"
)

// sweepBudget is what a look at many clients may cost in one go in every test's
// hub: by default so little that it is interrupted after each client.
var sweepBudget = 1

func init() { flag.IntVar(&sweepBudget, "sweep", 1, "sweep budget of the tests' hubs") }

// markBudgets are what the marks of one event's users may cost in one go: all of a small
// audience together with other events, as hubs have it; each user by itself, so that an
// audience of two is a large one; and so that some are large and some together too much.
var markBudgets = []struct {
	name string
	cost int
}{{"marked in one go", engine.MarkBudget}, {"marked one by one", 1}, {"marked in parts", 2 * engine.MarkCost}}

// Clients in trouble are moved on, timed out and closed part by part: after each
// the books are right, and what others get is not late by all of it.
func TestSweepsOfManyClientsGoOnWhereTheyLeftOff(t *testing.T) {
	for _, policy := range []engine.Policy{engine.PolicyRetry, engine.PolicyDropOldest, engine.PolicyDisconnect} {
		t.Run(policy.String(), func(t *testing.T) {
			h := newHub(t, engine.WithShards(1), engine.WithChanBufferSize(64), engine.WithPolicy(policy), engine.WithPushTimeout(time.Second, 2))
			var stalled []*memSink
			for i := range 100 {
				stalled = append(stalled, join(t, h, engine.Subscription{UID: strconv.Itoa(i), StallTimeout: -1}, 5))
			}
			live := join(t, h, engine.Subscription{}, -1)
			var want []string
			for i := range 500 {
				data := fmt.Sprint("n", i)
				require.NoError(t, h.Push(nil, message(data)))
				want = append(want, data)
				if i%50 == 0 {
					require.NoError(t, engine.Audit(h))
				}
			}
			requireSums(t, h)
			require.Equal(t, want, live.data(t))
			for _, s := range stalled {
				s.sub.Hangup(nil)
			}
			for _, s := range stalled {
				s.awaitClosed()
			}
			requireSums(t, h)
			require.Equal(t, 1, h.OnlineClientsNum())
		})
	}
}

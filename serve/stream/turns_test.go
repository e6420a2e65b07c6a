package stream

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// However many of one source wait, one of another is the next but one; and who gives up
// takes no turn from those behind it. (Invariant 5.)
func TestTurnsAreFairBySource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := turns{free: 1}
		done, err := turns.take(context.Background(), "first")
		require.NoError(t, err)
		gone, leave := context.WithCancel(context.Background())
		served := make(chan string, 100)
		wait := func(ctx context.Context, source, name string) {
			go func() {
				done, err := turns.take(ctx, source)
				if err != nil {
					served <- err.Error()
					return
				}
				served <- name
				done()
			}()
			synctest.Wait()
		}
		for i := range 20 {
			ctx := context.Background()
			if i%2 == 1 {
				ctx = gone
			}
			wait(ctx, "many", fmt.Sprint("many", i))
		}
		wait(context.Background(), "one", "one")
		leave()
		synctest.Wait()
		for range 10 {
			require.Equal(t, context.Canceled.Error(), <-served)
		}
		done()
		synctest.Wait()
		require.Equal(t, "many0", <-served)
		require.Equal(t, "one", <-served)
		for i := 2; i < 20; i += 2 {
			require.Equal(t, fmt.Sprint("many", i), <-served)
		}
		require.Equal(t, 1, turns.free)
		require.Empty(t, turns.waiting)
		require.Empty(t, turns.order)
	})
}

package interop

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	kills = 3   // that each client goes through
	batch = 100 // events acknowledged between two of them
)

// TestClientsThroughKills: invariants 2, 3 and 6 as foreign clients see them. Each follows a hub that is killed and
// started again in the same place; in the end it has handed out every acknowledged event, once, in order, and nothing
// that is no event: no comment, no blank line.
func TestClientsThroughKills(t *testing.T) {
	for name, follow := range clients {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			h := startHub(t, "127.0.0.1:0", data)
			address := h.address()
			f := &follower{}
			follow(t, f, h.base)
			require.Eventually(t, f.isOpen, patience, 10*time.Millisecond, "it does not connect")

			p := &publisher{base: h.base}
			for range kills {
				p.run(t, batch)
				// In the midst of pushes, some of which are acknowledged and some not.
				enough := p.count() + batch/4
				stop := p.keepPushing()
				require.Eventually(t, func() bool { return p.count() >= enough }, patience, time.Millisecond)
				h.end(syscall.SIGKILL)
				stop()
				h = startHub(t, address, data)
			}
			p.run(t, batch)
			acked := p.all()
			last := acked[len(acked)-1].ID
			require.Eventually(t, func() bool {
				got := f.got()
				return len(got) > 0 && slices.ContainsFunc(got, func(e event) bool { return e.ID == last })
			}, patience, 20*time.Millisecond, "the last event has not come: %d of %d have", len(f.got()), len(acked))
			check(t, acked, f.got())
		})
	}
}

// check compares what was acknowledged with what a client handed out.
func check(t *testing.T, acked, got []event) {
	t.Helper()
	seen := map[string]event{}
	var before uint64
	for _, e := range got {
		id, err := strconv.ParseUint(e.ID, 10, 64)
		require.NoError(t, err, "handed out with the ID %q: %+v", e.ID, e)
		require.Greater(t, id, before, "out of order or twice")
		before = id
		seen[e.ID] = e
	}
	for _, e := range acked {
		require.Equal(t, e, seen[e.ID], "acknowledged, and not handed out as it was pushed")
	}
	t.Logf("%d acknowledged events, %d handed out", len(acked), len(got))
}

// publisher pushes numbered events and keeps the acknowledged ones.
type publisher struct {
	base string
	mu   sync.Mutex
	n    int
	ack  []event
}

func (p *publisher) next() event {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	e := event{Type: "message", Data: fmt.Sprintf("event %d", p.n)}
	if p.n%3 == 0 {
		e.Type = "tick"
	}
	return e
}

func (p *publisher) push() error {
	e, err := push(p.base, "", p.next())
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ack = append(p.ack, e)
	return nil
}

// run pushes until n events more are acknowledged.
func (p *publisher) run(t *testing.T, n int) {
	t.Helper()
	for range n {
		require.NoError(t, p.push())
	}
}

// keepPushing pushes until stop is called.
func (p *publisher) keepPushing() (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
					_ = p.push() // the hub is killed meanwhile
				}
			}
		})
	}
	return func() {
		close(quit)
		wg.Wait()
	}
}

// count returns how many are acknowledged.
func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ack)
}

// all returns the acknowledged events by ID.
func (p *publisher) all() []event {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := slices.Clone(p.ack)
	slices.SortFunc(list, func(a, b event) int {
		if len(a.ID) != len(b.ID) {
			return len(a.ID) - len(b.ID)
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return list
}

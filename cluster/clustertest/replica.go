package clustertest

import (
	"context"
	"sync"

	"github.com/spatehub/spate/persist"
)

// Replica is a hub's log in memory that outlives its hub, and may then have lost its
// end, as a log without sync does in a power cut.
type Replica struct {
	*persist.Memory
	mu   sync.Mutex
	fail error
}

// NewReplica returns an empty log.
func NewReplica() *Replica { return &Replica{Memory: persist.NewMemory()} }

// Close does nothing.
func (r *Replica) Close() error { return nil }

// Append implements persist.Log.
func (r *Replica) Append(ctx context.Context, recs []persist.Record) error {
	r.mu.Lock()
	err := r.fail
	r.mu.Unlock()
	if err != nil {
		return err
	}
	return r.Memory.Append(ctx, recs)
}

// Fail has Append fail, until it is called with nil.
func (r *Replica) Fail(err error) {
	r.mu.Lock()
	r.fail = err
	r.mu.Unlock()
}

// Cut returns the log as a crash may have left it: without its last records.
func (r *Replica) Cut(lose int) *Replica {
	out := NewReplica()
	must := func(err error) {
		if err != nil {
			panic(err) // the log in memory has no reason to fail
		}
	}
	floor := r.Floor(nil)
	if floor != 0 {
		must(out.StartOver(floor))
	}
	var all []persist.Record
	for after := uint64(0); ; {
		page, err := r.Read(context.Background(), after, persist.Limit{})
		must(err)
		if page.UpTo == after {
			break
		}
		all, after = append(all, page.Records...), page.UpTo
	}
	if len(all) > 0 {
		must(out.BeginRun(max(floor+1, all[0].ID)))
	}
	must(out.Memory.Append(context.Background(), all[:max(0, len(all)-lose)]))
	return out
}

package sse

import (
	"sync"

	"github.com/panjf2000/ants/v2"
)

// AsyncTaskPool runs functions on a bounded number of goroutines.
type AsyncTaskPool struct {
	pool *ants.Pool
	wg   sync.WaitGroup
}

// NewAsyncTaskPool returns a pool that runs at most maxWorkers functions at a
// time (at least one).
func NewAsyncTaskPool(maxWorkers int) *AsyncTaskPool {
	pool, err := ants.NewPool(max(1, maxWorkers))
	if err != nil {
		panic("sse: pool: " + err.Error()) // only for options that contradict each other
	}
	return &AsyncTaskPool{pool: pool}
}

// Submit runs task, once a goroutine is free. After Stop it does nothing.
func (p *AsyncTaskPool) Submit(task func()) {
	p.wg.Add(1)
	if p.pool.Submit(func() { defer p.wg.Done(); task() }) != nil {
		p.wg.Done()
	}
}

// Wait returns when all that was submitted has run.
func (p *AsyncTaskPool) Wait() { p.wg.Wait() }

// Stop ends the pool. What runs is not interrupted.
func (p *AsyncTaskPool) Stop() { p.pool.Release() }

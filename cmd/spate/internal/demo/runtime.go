package demo

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// Runtime measures the process through the Go runtime, for systems without /proc: its share of the processors as cpu,
// its memory as mem, its goroutines as load. There is no net.
type Runtime struct {
	samples []metrics.Sample
	last    []float64
	lastAt  time.Time
}

// Names of the runtime's metrics, in the order of Runtime.samples.
const (
	userSeconds   = "/cpu/classes/user:cpu-seconds"
	gcSeconds     = "/cpu/classes/gc/total:cpu-seconds"
	mappedBytes   = "/memory/classes/total:bytes"
	heapBytes     = "/memory/classes/heap/objects:bytes"
	releasedBytes = "/memory/classes/heap/released:bytes"
)

// NewRuntime returns the source.
func NewRuntime() *Runtime {
	r := &Runtime{}
	for _, name := range []string{userSeconds, gcSeconds, mappedBytes, heapBytes, releasedBytes} {
		r.samples = append(r.samples, metrics.Sample{Name: name})
	}
	return r
}

// Read measures cpu, mem and load of the process. The runtime brings its processor times up to date at each garbage
// collection, so that cpu moves in steps.
func (r *Runtime) Read(now time.Time) ([]Reading, error) {
	metrics.Read(r.samples)
	seconds := []float64{r.samples[0].Value.Float64(), r.samples[1].Value.Float64()}
	mapped, heap, released := r.samples[2].Value.Uint64(), r.samples[3].Value.Uint64(), r.samples[4].Value.Uint64()
	t := now.UnixMilli()
	readings := []Reading{
		{"mem", Mem{T: t, Total: mapped, Used: mapped - min(released, mapped), Cached: mapped - min(heap+released, mapped)}},
		{"load", Load{T: t, Running: runtime.NumGoroutine(), Tasks: runtime.NumGoroutine()}},
	}
	if elapsed := now.Sub(r.lastAt).Seconds(); r.last != nil && elapsed > 0 {
		share := func(i int) float64 {
			return round(100 * max(seconds[i]-r.last[i], 0) / elapsed / float64(runtime.GOMAXPROCS(0)))
		}
		readings = append(readings, Reading{"cpu", CPU{T: t, User: min(share(0), 100), System: min(share(1), 100), Cores: []float64{}}})
	}
	r.last, r.lastAt = seconds, now
	return readings, nil
}

// runtimeMemory is the memory that the Go runtime holds from the system, in bytes.
func runtimeMemory() uint64 {
	s := []metrics.Sample{{Name: mappedBytes}, {Name: releasedBytes}}
	metrics.Read(s)
	return s[0].Value.Uint64() - min(s[1].Value.Uint64(), s[0].Value.Uint64())
}

//go:build linux

package bench_test

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/loadtest/stamp"
)

// capacityStreams is how many streams each hub has: near what a process may hold of descriptors.
const capacityStreams = 18_000

// BenchmarkCapacity: what does a connection take of the hub's memory and of the kernel's, and what does an event to all
// of them cost, at as many real sockets as several processes can hold? docs/capacity.md counts on from it.
func BenchmarkCapacity(b *testing.B) {
	for _, c := range []struct {
		hubs, size int
		rate       float64
	}{{1, eventSize, 2}, {2, 1000, 1}, {4, eventSize, 0.5}} {
		n := c.hubs * capacityStreams
		b.Run(fmt.Sprintf("hubs=%d/streams=%d/rate=%g/size=%d", c.hubs, n, c.rate, c.size), func(b *testing.B) {
			var hub, kib, kernel, connect, cpu, p99 []float64
			for b.Loop() {
				f := capacity(b, c.hubs, rig.Work{Rate: c.rate, Size: c.size, Duration: 2 * span})
				hub = append(hub, float64(f.empty)/(1<<20)/float64(c.hubs))
				kib, kernel = append(kib, float64(f.process)/1024/float64(n)), append(kernel, float64(f.kernel)/1024/float64(n))
				connect = append(connect, micros(f.connect)/float64(n))
				cpu, p99 = append(cpu, micros(f.cpu)/float64(f.deliveries)), append(p99, f.p99.Seconds()*1e3)
			}
			b.ReportMetric(middle(hub), "MiB/hub")
			b.ReportMetric(middle(kib), "KiB/stream")
			b.ReportMetric(middle(kernel), "kernel-KiB/stream")
			b.ReportMetric(middle(connect), "cpu-µs/connect")
			b.ReportMetric(middle(cpu), "cpu-µs/delivery")
			b.ReportMetric(middle(p99), "p99-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// capacityFigures are those of all hubs together.
type capacityFigures struct {
	empty           int64 // bytes of the hubs' processes without streams
	process, kernel int64 // bytes that all streams take; the kernel's are of the hubs' ends
	connect, cpu    time.Duration
	deliveries      uint64
	p99             time.Duration // of the worst hub
}

// capacity opens the streams, hub after hub, and has all hubs publish at once.
func capacity(b *testing.B, hubs int, w rig.Work) (c capacityFigures) {
	b.Helper()
	rigs := make([]*rig.Rig, hubs)
	for i := range rigs {
		r, err := rig.New("spate", rig.Load{Streams: capacityStreams, Kind: stamp.Broadcast})
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		rigs[i] = r
	}
	usage := func() (rss int64) {
		for _, r := range rigs {
			u, err := r.Usage(true)
			if err != nil {
				b.Fatal(err)
			}
			rss += u.RSS
		}
		return rss
	}
	debug.FreeOSMemory()
	c.empty = usage()
	kernel := kernelBytes(b)
	for _, r := range rigs {
		opened, err := r.Connect(stormInFlight)
		if err != nil {
			b.Fatal(err)
		}
		c.connect += opened.CPU
	}
	c.process = usage() - c.empty
	c.kernel = (kernelBytes(b) - kernel) / 2 // the clients' ends are here too, and take as much
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, r := range rigs {
		wg.Go(func() {
			f, err := r.Run(w)
			if faults := f.Faults(); err != nil || faults != "" {
				b.Errorf("%v %s", err, faults)
			}
			mu.Lock()
			defer mu.Unlock()
			c.cpu += f.ServerCPU
			c.deliveries += f.Deliveries
			c.p99 = max(c.p99, f.Latency.P99)
		})
	}
	wg.Wait()
	return c
}

// kernelBytes is the memory that is neither free, nor a process's, nor a file's: on a machine that does nothing else,
// that of sockets, descriptors and what watches them is what it grows by.
func kernelBytes(b *testing.B) int64 {
	b.Helper()
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	kib := map[string]int64{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		kib[name], _ = strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
	}
	return 1024 * (kib["MemTotal"] - kib["MemFree"] - kib["Buffers"] - kib["Cached"] - kib["AnonPages"])
}

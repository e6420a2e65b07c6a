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

// capacityHubs is how many hubs there are beside each other, each with a load of its own, and capacityStreams how many
// streams each of them has: near what a process may hold of descriptors.
var capacityHubs = envInt("SPATETEST_BENCH_HUBS", 4)

const capacityStreams = 18_000

// BenchmarkCapacity: what does a connection take of the hub's memory and of the kernel's, and what does an event to all
// of them cost, at as many real sockets as several processes can hold?
func BenchmarkCapacity(b *testing.B) {
	n := capacityHubs * capacityStreams
	b.Run(fmt.Sprintf("hubs=%d/streams=%d", capacityHubs, n), func(b *testing.B) {
		var kib, kernel, connect, cpu, p99 []float64
		for b.Loop() {
			c := capacity(b)
			kib, kernel = append(kib, float64(c.process)/1024/float64(n)), append(kernel, float64(c.kernel)/1024/float64(n))
			connect = append(connect, micros(c.connect)/float64(n))
			cpu, p99 = append(cpu, micros(c.cpu)/float64(c.deliveries)), append(p99, c.p99.Seconds()*1e3)
		}
		b.ReportMetric(middle(kib), "KiB/stream")
		b.ReportMetric(middle(kernel), "kernel-KiB/stream")
		b.ReportMetric(middle(connect), "cpu-µs/connect")
		b.ReportMetric(middle(cpu), "cpu-µs/delivery")
		b.ReportMetric(middle(p99), "p99-ms")
		b.ReportMetric(0, "ns/op")
	})
}

// capacityFigures are those of all hubs together.
type capacityFigures struct {
	process, kernel int64 // bytes that all streams take; the kernel's are of the hubs' ends
	connect, cpu    time.Duration
	deliveries      uint64
	p99             time.Duration // of the worst hub
}

// capacity opens the streams, hub after hub, and has all hubs publish at once.
func capacity(b *testing.B) (c capacityFigures) {
	b.Helper()
	rigs := make([]*rig.Rig, capacityHubs)
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
	rss, kernel := usage(), kernelBytes(b)
	for _, r := range rigs {
		opened, err := r.Connect(stormInFlight)
		if err != nil {
			b.Fatal(err)
		}
		c.connect += opened.CPU
	}
	c.process = usage() - rss
	c.kernel = (kernelBytes(b) - kernel) / 2 // the clients' ends are here too, and take as much
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, r := range rigs {
		wg.Go(func() {
			f, err := r.Run(rig.Work{Rate: 1, Size: eventSize, Duration: 2 * span})
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

//go:build linux

package bench_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/spatehub/spate/bench/internal/plan"
	"github.com/spatehub/spate/bench/internal/proc"
	"github.com/spatehub/spate/compress"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// drainVar has a process of this binary read streams and throw them away: address,
// number, Accept-Encoding or, for streams over TLS, overTLS.
const drainVar = "SPATETEST_BENCH_DRAIN"

const overTLS = "tls"

func init() {
	if what := os.Getenv(drainVar); what != "" {
		drain(strings.Fields(what))
		os.Exit(0)
	}
}

// drain opens the streams, says so, and answers each line of its input with the bytes
// of bodies and heads read so far.
func drain(what []string) {
	n, _ := strconv.Atoi(what[1])
	var read atomic.Int64
	for range n {
		c, err := net.Dial("tcp", what[0])
		if err != nil {
			panic(err)
		}
		accept := what[2]
		if accept == overTLS {
			c, accept = tls.Client(c, &tls.Config{InsecureSkipVerify: true}), "identity"
		}
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: %s\r\n\r\n", accept)
		go func() {
			buf := make([]byte, 32<<10)
			for {
				n, err := c.Read(buf)
				read.Add(int64(n))
				if err != nil {
					return
				}
			}
		}()
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(read.Load())
	}
}

// drained is a process that drains.
type drained struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startDrain(b *testing.B, addr string, n int, accept string) *drained {
	d := &drained{cmd: exec.Command(os.Args[0])}
	d.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", drainVar, addr, n, accept))
	d.cmd.Stderr = os.Stderr
	d.in, _ = d.cmd.StdinPipe()
	out, _ := d.cmd.StdoutPipe()
	if err := d.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	d.out = bufio.NewScanner(out)
	d.out.Scan()
	return d
}

// bytes returns what was read, once nothing more comes.
func (d *drained) bytes() (n int64) {
	for before := int64(-1); before != n; <-time.After(200 * time.Millisecond) {
		before = n
		fmt.Fprintln(d.in)
		d.out.Scan()
		n, _ = strconv.ParseInt(d.out.Text(), 10, 64)
	}
	return n
}

func (d *drained) close() {
	d.in.Close()
	_ = d.cmd.Wait()
}

// coder is a server of the benchmark.
type coder struct {
	name   string
	accept string
	make   func() (h http.Handler, push func([]byte), close func())
}

func coders() []coder {
	return []coder{
		{"bare", "identity", bareLoop},
		{"bare+gzhttp", "gzip", gzipLoop},
		{"spate", "identity", func() (http.Handler, func([]byte), func()) { return hubOf() }},
		{"spate+gzip", "gzip", func() (http.Handler, func([]byte), func()) { return hubOf(coded()) }},
		{"spate+zstd", "zstd", func() (http.Handler, func([]byte), func()) { return hubOf(coded()) }},
	}
}

func coded() engine.HubOption { return engine.WithEncodings(new(compress.Zstd), new(compress.Gzip)) }

func hubOf(opts ...engine.HubOption) (http.Handler, func([]byte), func()) {
	return hubWith(nil, opts...)
}

// halfPatient is a hub that lets events wait for every other stream.
func halfPatient(d time.Duration) (http.Handler, func([]byte), func()) {
	var n atomic.Int64
	every := stream.WithPatient(func(*http.Request) bool { return n.Add(1)%2 == 0 })
	return hubWith([]stream.Option{every}, engine.WithPatience(d))
}

func hubWith(streams []stream.Option, opts ...engine.HubOption) (http.Handler, func([]byte), func()) {
	hub := engine.NewHub(append(opts, engine.WithLogger(slog.New(slog.DiscardHandler)))...)
	return stream.Handler(hub, nil, streams...), func(data []byte) { _ = hub.Push(nil, &wire.Event{Data: data}) }, hub.Close
}

// bareLoop is a goroutine for each stream that writes each event and flushes.
func bareLoop() (http.Handler, func([]byte), func()) {
	var mu sync.Mutex
	var streams []chan []byte
	done := make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ch := make(chan []byte, 256)
		mu.Lock()
		streams = append(streams, ch)
		mu.Unlock()
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ": hello\n")
		rc := http.NewResponseController(w)
		for _ = rc.Flush(); ; {
			select {
			case frame := <-ch:
				_, _ = w.Write(frame)
				_ = rc.Flush()
			case <-done:
				return
			}
		}
	})
	id := uint64(7183310824207953)
	push := func(data []byte) {
		id++
		frame := fmt.Appendf(nil, "id: %d\ndata: %s\n\n", id, data)
		mu.Lock()
		defer mu.Unlock()
		for _, ch := range streams {
			ch <- frame
		}
	}
	return h, push, func() { close(done) }
}

func gzipLoop() (http.Handler, func([]byte), func()) {
	h, push, end := bareLoop()
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(0), gzhttp.ContentTypes([]string{"text/event-stream"}))
	if err != nil {
		panic(err)
	}
	return wrap(h), push, end
}

// steady pushes count events at a rate, in runs of several, and returns the server's processor time
// and the bytes, for each delivery.
func steady(b *testing.B, c coder, streams, count, rate, run int, texts [][]byte) (cpu, bytes float64) {
	h, push, end := c.make()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var asked atomic.Int64
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		h.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(l) }()
	d := startDrain(b, l.Addr().String(), streams, c.accept)
	for asked.Load() < int64(streams) {
		<-time.After(time.Millisecond)
	}
	begun := d.bytes()
	before := proc.CPU()
	atRate(count, rate, run, func(i int) { push(texts[i%len(texts)]) })
	n := d.bytes()
	used := proc.CPU() - before
	d.close()
	end()
	_ = server.Close()
	deliveries := float64(streams * count)
	return float64(used) / 1e3 / deliveries, float64(n-begun) / deliveries
}

// atRate does something count times, in runs of several, at a rate a second.
func atRate(count, rate, run int, do func(i int)) {
	for i, begin := 0, time.Now(); i < count; i++ {
		if i%run == 0 {
			<-time.After(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
		do(i)
	}
}

// medianOf is the median of the figures.
func medianOf(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkCoding: what does a delivery cost, in processor time of the server and in
// bytes, coded and not, beside a handler that codes for each connection? Rounds of all
// servers alternate. Single events, or ten at a time, as -benchtime=Nx rounds.
func BenchmarkCoding(b *testing.B) {
	raiseLimit()
	for _, size := range []int{200, 1000} {
		for _, run := range []int{1, 10} {
			b.Run(fmt.Sprintf("size=%d/run=%d", size, run), func(b *testing.B) {
				texts := plan.Quotes(size)
				cpu, bytes := map[string][]float64{}, map[string][]float64{}
				for range b.N {
					for _, c := range coders() {
						t, n := steady(b, c, 1000, 100, 50, run, texts)
						cpu[c.name], bytes[c.name] = append(cpu[c.name], t), append(bytes[c.name], n)
					}
				}
				for _, c := range coders() {
					b.ReportMetric(medianOf(cpu[c.name]), c.name+"-µs")
					b.ReportMetric(medianOf(bytes[c.name]), c.name+"-B")
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkLinger: what does a delivery cost where events may wait for each other, for all
// streams or, by patience, for half of them? Ten come within the longest wait. A server that cannot keep up, as at 1,000 streams with
// 1,000 events a second on two processors, lets them share writes as it is.
func BenchmarkLinger(b *testing.B) {
	raiseLimit()
	for _, shape := range []struct{ streams, rate int }{{100, 1000}, {1000, 100}, {1000, 1000}} {
		b.Run(fmt.Sprintf("streams=%d/rate=%d", shape.streams, shape.rate), func(b *testing.B) {
			ten := 10 * time.Second / time.Duration(shape.rate)
			waits := []time.Duration{0, ten / 5, ten}
			texts, cpu, half := plan.Quotes(200), map[time.Duration][]float64{}, []float64(nil)
			took := func(hub func() (http.Handler, func([]byte), func())) float64 {
				t, _ := steady(b, coder{accept: "identity", make: hub}, shape.streams, 2*shape.rate, shape.rate, 1, texts)
				return t
			}
			for range b.N {
				for _, d := range waits {
					cpu[d] = append(cpu[d], took(func() (http.Handler, func([]byte), func()) { return hubOf(engine.WithLinger(d, nil)) }))
				}
				half = append(half, took(func() (http.Handler, func([]byte), func()) { return halfPatient(ten) }))
			}
			for _, d := range waits {
				b.ReportMetric(medianOf(cpu[d]), fmt.Sprintf("linger=%v-µs", d))
			}
			b.ReportMetric(medianOf(half), fmt.Sprintf("half-patient=%v-µs", ten))
			b.ReportMetric(0, "ns/op")
		})
	}
}

// raiseLimit lets the process have as many descriptors as it may.
func raiseLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}

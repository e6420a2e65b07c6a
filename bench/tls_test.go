//go:build linux

package bench_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/spatehub/spate/bench/internal/proc"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/internal/testcert"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// securedServer is a server of streams over TLS.
type securedServer struct {
	online func() int
	push   func(data string) error
	close  func()
}

// securedSides are the bare loop over tls.Conn, and spate.
var securedSides = []struct {
	name  string
	serve func(net.Listener, *tls.Config) securedServer
}{{"bare", bareTLS}, {"spate", spateTLS}}

// bareTLS writes each event to one tls.Conn after the other. It has no goroutine for a stream.
func bareTLS(l net.Listener, config *tls.Config) securedServer {
	var mu sync.Mutex
	var conns []*tls.Conn
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				secured := tls.Server(c, config)
				if _, err := http.ReadRequest(bufio.NewReader(secured)); err != nil {
					return // the reader counts it
				}
				if _, err := secured.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")); err == nil {
					mu.Lock()
					conns = append(conns, secured)
					mu.Unlock()
				}
			}()
		}
	}()
	id := uint64(firstEvent)
	var frame []byte
	return securedServer{
		online: func() int {
			mu.Lock()
			defer mu.Unlock()
			return len(conns)
		},
		push: func(data string) (err error) {
			mu.Lock()
			defer mu.Unlock()
			id++
			if frame, err = wire.AppendEvent(frame[:0], &wire.Event{ID: wire.FormatID(id), Event: "message", Data: data}); err != nil {
				return err
			}
			for _, c := range conns {
				if _, err = c.Write(frame); err != nil {
					return err
				}
			}
			return nil
		},
		close: func() {
			_ = l.Close()
			mu.Lock()
			defer mu.Unlock()
			for _, c := range conns {
				_ = c.Close()
			}
		},
	}
}

// spateTLS is a hub behind its own listener.
func spateTLS(l net.Listener, config *tls.Config) securedServer {
	hub := engine.NewHub(quiet())
	server := &http.Server{Handler: stream.Handler(hub, nil)}
	go func() { _ = server.Serve(stream.NewTLSListener(l, config)) }()
	return securedServer{
		online: hub.OnlineClientsNum,
		push:   func(data string) error { return hub.Push(nil, &wire.Event{Event: "message", Data: data}) },
		close: func() {
			hub.Close()
			_ = server.Close()
		},
	}
}

// secured opens that many streams over TLS, which a process of its own reads, and measures.
func secured(b *testing.B, serve func(net.Listener, *tls.Config) securedServer, config *tls.Config, streams int, measure func(securedServer, *drained)) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := serve(l, config)
	d := startDrain(b, l.Addr().String(), streams, overTLS)
	await(b, func() bool { return s.online() == streams })
	measure(s, d)
	d.close()
	s.close()
}

// BenchmarkTLS: what does a delivery to 1,000 streams over TLS cost at 20 events a second, and what does each of 3,000
// idle streams hold, beside a bare loop over tls.Conn? The sides alternate.
func BenchmarkTLS(b *testing.B) {
	raiseLimit()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	config := &tls.Config{Certificates: []tls.Certificate{testcert.NewCA(b, "bench").Issue(testcert.Leaf{CommonName: "localhost"})}}
	b.Run("streams=1000/rate=20", func(b *testing.B) {
		cpu := map[string][]float64{}
		for range b.N {
			for _, side := range securedSides {
				secured(b, side.serve, config, 1000, func(s securedServer, d *drained) {
					cpu[side.name] = append(cpu[side.name], securedDelivery(b, s, d, 1000, 20))
				})
			}
		}
		reportSides(b, cpu, "µs/delivery")
	})
	b.Run("streams=3000/idle", func(b *testing.B) {
		kib := map[string][]float64{}
		for range b.N {
			for _, side := range securedSides {
				before := proc.Used(true)
				secured(b, side.serve, config, 3000, func(securedServer, *drained) {
					after := proc.Used(true)
					kib[side.name] = append(kib[side.name], float64(after.RSS-before.RSS)/1024/3000)
				})
			}
		}
		reportSides(b, kib, "KiB/stream")
	})
}

// securedDelivery returns the processor time of this process for a delivery.
func securedDelivery(b *testing.B, s securedServer, d *drained, streams, rate int) float64 {
	b.Helper()
	data := strings.Repeat("x", eventSize)
	events := int(span.Seconds() * float64(rate))
	var used int64
	for _, n := range []int{rate / 2, events} { // the first half second is not counted
		before := proc.CPU()
		atRate(n, rate, 1, func(int) {
			if err := s.push(data); err != nil {
				b.Fatal(err)
			}
		})
		d.bytes()
		used = proc.CPU() - before
	}
	return float64(used) / 1e3 / float64(streams*events)
}

// reportSides writes a figure of both sides, and what part of the bare one spate's is.
func reportSides(b *testing.B, figures map[string][]float64, unit string) {
	bare, spate := middle(figures["bare"]), middle(figures["spate"])
	b.ReportMetric(bare, "bare-"+unit)
	b.ReportMetric(spate, unit)
	b.ReportMetric(spate/bare, fmt.Sprintf("%s/bare", unit))
	b.ReportMetric(0, "ns/op")
}

// Package probe reads what a run costs: processor time and memory of the server
// under test, by its process ID or its Prometheus metrics, and the processor
// time of the load tester itself.
package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Sample is what a server has used up to a moment.
type Sample struct {
	CPU time.Duration // processor time since the server started
	RSS int64         // resident memory, bytes
}

// Server reads samples of one server.
type Server interface {
	// Read takes a sample. It may be called by one goroutine at a time.
	Read(ctx context.Context) (Sample, error)
}

// New returns a reader of the process pid, or of the metrics at url; nil if
// neither is given. It takes a first sample to show that it works.
func New(ctx context.Context, pid int, url string) (Server, error) {
	var s Server
	switch {
	case pid != 0:
		s = process{pid: pid, hz: 100, page: int64(os.Getpagesize())}
	case url != "":
		s = metrics{url: url}
	default:
		return nil, nil
	}
	if _, err := s.Read(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// process reads /proc of a process on this machine.
type process struct {
	pid  int
	hz   int64 // ticks a second of the times in stat; 100 on every Linux that Go supports
	page int64
}

// Read implements Server.
func (p process) Read(context.Context) (Sample, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return Sample{}, fmt.Errorf("-server-pid %d: there is no such process on this machine", p.pid)
		}
		return Sample{}, fmt.Errorf("-server-pid %d: %w", p.pid, err)
	}
	// The command's name, in parentheses, may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 22 {
		return Sample{}, fmt.Errorf("-server-pid %d: /proc/%d/stat is not as expected", p.pid, p.pid)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	pages, err3 := strconv.ParseInt(fields[21], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Sample{}, fmt.Errorf("-server-pid %d: %w", p.pid, err)
	}
	return Sample{CPU: time.Duration(user+system) * time.Second / time.Duration(p.hz), RSS: pages * p.page}, nil
}

// metrics reads the process collector's figures in Prometheus' text format.
type metrics struct{ url string }

// maxMetrics bounds an answer, bytes.
const maxMetrics = 16 << 20

// Read implements Server.
func (m metrics) Read(ctx context.Context) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url, nil)
	if err != nil {
		return Sample{}, fmt.Errorf("-server-metrics: %w", err)
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return Sample{}, fmt.Errorf("-server-metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Sample{}, fmt.Errorf("-server-metrics %s answered %s", m.url, resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxMetrics))
	if err != nil {
		return Sample{}, fmt.Errorf("-server-metrics: %w", err)
	}
	return parseMetrics(string(text), m.url)
}

func parseMetrics(text, url string) (Sample, error) {
	var s Sample
	var found int
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		value, _, _ = strings.Cut(value, " ") // a time may follow
		switch name {
		case "process_cpu_seconds_total":
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return s, fmt.Errorf("-server-metrics: %s is %q", name, value)
			}
			s.CPU = time.Duration(v * float64(time.Second))
			found++
		case "process_resident_memory_bytes":
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return s, fmt.Errorf("-server-metrics: %s is %q", name, value)
			}
			s.RSS = int64(v)
			found++
		}
	}
	if found < 2 {
		return s, fmt.Errorf("-server-metrics %s has no process_cpu_seconds_total and process_resident_memory_bytes", url)
	}
	return s, nil
}

// OwnRSS is the resident memory of this process, in bytes; 0 where the system
// does not tell.
func OwnRSS() int64 {
	s, err := process{pid: os.Getpid(), hz: 100, page: int64(os.Getpagesize())}.Read(context.Background())
	if err != nil {
		return 0
	}
	return s.RSS
}

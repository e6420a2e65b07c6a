package demo

import (
	"errors"
	"math"
	"strings"
	"time"

	"github.com/spatehub/spate/cmd/spate/internal/procfs"
)

// CPU is the data of topic cpu: shares of the processors' time since the last reading, in percent.
type CPU struct {
	T      int64     `json:"t"` // Unix milliseconds
	User   float64   `json:"user"`
	System float64   `json:"system"`
	IOWait float64   `json:"iowait"`
	Steal  float64   `json:"steal"`
	Cores  []float64 `json:"cores"` // busy share of each processor
}

// Mem is the data of topic mem, in bytes.
type Mem struct {
	T        int64  `json:"t"`
	Total    uint64 `json:"total"`
	Used     uint64 `json:"used"`
	Cached   uint64 `json:"cached"`
	SwapUsed uint64 `json:"swapUsed"`
}

// Net is the data of topic net: bytes a second since the last reading, over all interfaces but the loopback one, whose
// traffic is told apart.
type Net struct {
	T        int64   `json:"t"`
	Rx       float64 `json:"rx"`
	Tx       float64 `json:"tx"`
	Loopback float64 `json:"loopback"`
}

// Load is the data of topic load.
type Load struct {
	T       int64   `json:"t"`
	One     float64 `json:"one"`
	Five    float64 `json:"five"`
	Fifteen float64 `json:"fifteen"`
	Running int     `json:"running"`
	Tasks   int     `json:"tasks"`
}

// Machine measures the machine through its process file system.
type Machine struct {
	fs      procfs.FS
	lastCPU *procfs.Stat
	lastNet map[string]procfs.Interface
	netAt   time.Time
}

// NewMachine returns a source that reads fs.
func NewMachine(fs procfs.FS) *Machine { return &Machine{fs: fs} }

// Read measures cpu, mem, net and load. A file that cannot be read costs only its own topic.
func (m *Machine) Read(now time.Time) ([]Reading, error) {
	var readings []Reading
	var errs []error
	for _, read := range []func(time.Time) (*Reading, error){m.cpu, m.mem, m.net, m.load} {
		r, err := read(now)
		if err != nil {
			errs = append(errs, err)
		}
		if r != nil {
			readings = append(readings, *r)
		}
	}
	return readings, errors.Join(errs...)
}

func (m *Machine) cpu(now time.Time) (*Reading, error) {
	st, err := m.fs.Stat()
	if err != nil {
		return nil, err
	}
	last := m.lastCPU
	m.lastCPU = &st
	if last == nil {
		return nil, nil
	}
	u := st.Total.Since(last.Total)
	data := CPU{T: now.UnixMilli(), User: round(u.User), System: round(u.System), IOWait: round(u.IOWait), Steal: round(u.Steal), Cores: []float64{}}
	if len(st.Cores) == len(last.Cores) { // a processor may come or go between two readings
		for i, c := range st.Cores {
			data.Cores = append(data.Cores, round(c.Since(last.Cores[i]).Busy()))
		}
	}
	return &Reading{"cpu", data}, nil
}

func (m *Machine) mem(now time.Time) (*Reading, error) {
	mem, err := m.fs.Mem()
	if err != nil {
		return nil, err
	}
	return &Reading{"mem", Mem{T: now.UnixMilli(), Total: mem.Total, Used: mem.Used(), Cached: mem.Cached + mem.Buffers, SwapUsed: mem.SwapUsed()}}, nil
}

func (m *Machine) net(now time.Time) (*Reading, error) {
	all, err := m.fs.Net()
	if err != nil {
		return nil, err
	}
	last, seconds := m.lastNet, now.Sub(m.netAt).Seconds()
	m.lastNet, m.netAt = make(map[string]procfs.Interface, len(all)), now
	for _, i := range all {
		m.lastNet[i.Name] = i
	}
	if last == nil || seconds <= 0 {
		return nil, nil
	}
	data := Net{T: now.UnixMilli()}
	for _, i := range all {
		before, known := last[i.Name]
		if !known || strings.Contains(i.Name, ":") { // an alias counts its interface's traffic again
			continue
		}
		rx, tx := rate(i.RxBytes, before.RxBytes, seconds), rate(i.TxBytes, before.TxBytes, seconds)
		if i.Loopback() {
			data.Loopback += rx
			continue
		}
		data.Rx += rx
		data.Tx += tx
	}
	return &Reading{"net", data}, nil
}

func (m *Machine) load(now time.Time) (*Reading, error) {
	l, err := m.fs.Load()
	if err != nil {
		return nil, err
	}
	return &Reading{"load", Load{T: now.UnixMilli(), One: l.One, Five: l.Five, Fifteen: l.Fifteen, Running: l.Running, Tasks: l.Tasks}}, nil
}

// rate is the growth of a counter a second, 0 where it was reset.
func rate(now, before uint64, seconds float64) float64 {
	if now < before {
		return 0
	}
	return math.Round(float64(now-before) / seconds)
}

// round keeps two decimals: enough to draw, and short on the wire.
func round(v float64) float64 { return math.Round(v*100) / 100 }

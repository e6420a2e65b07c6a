package demo

import (
	"runtime"
	"time"

	"github.com/spatehub/spate/cmd/spate/internal/procfs"
	"github.com/spatehub/spate/engine"
)

// Hub is the data of topic hub: what the hub says of itself. Rates are per second since the last reading; counters run
// since Started.
type Hub struct {
	T           int64   `json:"t"`
	Started     int64   `json:"started"` // Unix milliseconds of the process's start; a new value tells of a restart
	Clients     int     `json:"clients"`
	Events      uint64  `json:"events"`
	Delivered   uint64  `json:"delivered"`
	Resent      uint64  `json:"resent"`
	Gaps        uint64  `json:"gaps"`
	EventRate   float64 `json:"eventRate"`
	DeliverRate float64 `json:"deliverRate"`
	Resident    uint64  `json:"resident"` // bytes; without /proc what the runtime took from the system
	Goroutines  int     `json:"goroutines"`
	Files       int     `json:"files"` // open descriptors; 0 where it cannot be told
}

// Self measures the hub and its process.
type Self struct {
	fs      procfs.FS
	stats   func() engine.Stats
	started time.Time
	last    *engine.Stats
	lastAt  time.Time
}

// NewSelf returns a source of the hub's own statistics.
func NewSelf(fs procfs.FS, started time.Time, stats func() engine.Stats) *Self {
	return &Self{fs: fs, stats: stats, started: started}
}

// Read measures topic hub.
func (s *Self) Read(now time.Time) ([]Reading, error) {
	st := s.stats()
	data := Hub{
		T: now.UnixMilli(), Started: s.started.UnixMilli(), Clients: st.Clients,
		Events: st.Events, Delivered: st.Delivered, Resent: st.Resent, Gaps: st.Gaps,
		Goroutines: runtime.NumGoroutine(),
	}
	if seconds := now.Sub(s.lastAt).Seconds(); s.last != nil && seconds > 0 {
		data.EventRate = rate(st.Events, s.last.Events, seconds)
		data.DeliverRate = rate(st.Delivered, s.last.Delivered, seconds)
	}
	s.last, s.lastAt = &st, now
	var err error
	if data.Resident, err = s.fs.Resident(); err != nil {
		data.Resident = runtimeMemory()
	}
	data.Files, _ = s.fs.OpenFiles()
	return []Reading{{"hub", data}}, nil
}

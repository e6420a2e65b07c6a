package main

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/spatehub/spate/cmd/spate/internal/demo"
	"github.com/spatehub/spate/cmd/spate/internal/procfs"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/stream"
)

// statsReply is the answer to GET /stats. IDs are strings: they may be larger than what a JSON reader holds exactly.
type statsReply struct {
	Version  string       `json:"version"`
	Time     time.Time    `json:"time"`
	Started  time.Time    `json:"started"`
	Healthy  bool         `json:"healthy"`
	Error    string       `json:"error,omitempty"`
	Demo     bool         `json:"demo"`
	Topics   []string     `json:"topics"`   // of the demo feed
	Position string       `json:"position"` // the last ID given
	Hub      hubStats     `json:"hub"`
	Log      *logStats    `json:"log,omitempty"`
	Process  processStats `json:"process"`

	Cluster *clusterStats `json:"cluster,omitempty"`
}

// hubStats is engine.Stats with the names of JSON. The conversion in reply fails to compile when the two differ.
type hubStats struct {
	Events        uint64 `json:"events"`
	LogFailed     uint64 `json:"log_failed"`
	Pushed        uint64 `json:"pushed"`
	Delivered     uint64 `json:"delivered"`
	Dropped       uint64 `json:"dropped"`
	TimedOut      uint64 `json:"timed_out"`
	Failed        uint64 `json:"failed"`
	Conflated     uint64 `json:"conflated"`
	NoReceiver    uint64 `json:"no_receiver"`
	Pending       uint64 `json:"pending"`
	Resent        uint64 `json:"resent"`
	Gaps          uint64 `json:"gaps"`
	Behind        uint64 `json:"behind"`
	Heartbeats    uint64 `json:"heartbeats"`
	SentBytes     uint64 `json:"sent_bytes"`
	CallbacksLost uint64 `json:"callbacks_lost"`
	Clients       int    `json:"clients"`
	Stalled       int    `json:"stalled"`
	CatchingUp    int    `json:"catching_up"`
	Late          int    `json:"late"`
	RingUsed      uint64 `json:"ring_used"`
	RingSize      int    `json:"ring_size"`
	LastEventID   uint64 `json:"last_event_id,string"`

	Ends engine.Ends `json:"ends"`
}

type logStats struct {
	First     string         `json:"first"`
	Last      string         `json:"last"`
	Records   int64          `json:"records"`
	Bytes     int64          `json:"bytes"`
	DiskBytes int64          `json:"disk_bytes"`
	Sync      bool           `json:"sync"`
	Retention retentionStats `json:"retention"`
	Error     string         `json:"error,omitempty"`
	LostTail  *lostTailStats `json:"lost_tail,omitempty"`
}

// lostTailStats tells of acknowledged events that were missing at the end of the log when the hub started.
type lostTailStats struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Records int64  `json:"records_at_least"`
}

// retentionStats is the retention in force.
type retentionStats struct {
	boundsStats                        // of the whole log
	Topics      map[string]boundsStats `json:"topics,omitempty"` // of single topics; "*": of those without an entry
}

// boundsStats are bounds of retention; 0 sets none.
type boundsStats struct {
	AgeSeconds float64 `json:"age_seconds"`
	Records    int64   `json:"records"`
	Bytes      int64   `json:"bytes"`
}

type processStats struct {
	Resident   uint64 `json:"resident_bytes"` // 0 where it cannot be told
	Goroutines int    `json:"goroutines"`
	OpenFiles  int    `json:"open_files"` // 0 where it cannot be told
}

// statsSource is what GET /stats and GET /healthz tell about.
type statsSource struct {
	hub     *engine.Hub
	log     persist.Stats
	cluster *joined
	name    string // among other hubs
	demo    bool
	started time.Time
	quiet   bool         // GET /healthz tells no reasons: strangers may ask
	known   func() error // what else has to be known before the hub is ready; nil: nothing
}

func (src *statsSource) reply() statsReply {
	r := statsReply{
		Version: version(), Time: time.Now().UTC(), Started: src.started.UTC(), Healthy: true, Topics: []string{},
		Position: strconv.FormatUint(src.hub.LastID(), 10), Hub: hubStats(src.hub.Stats()),
		Process: processStats{Goroutines: runtime.NumGoroutine()},
	}
	if src.demo {
		r.Demo, r.Topics = true, demo.Topics
	}
	if err := src.hub.Healthy(); err != nil {
		r.Healthy, r.Error = false, err.Error()
	}
	r.Cluster = src.cluster.stats(src.ready())
	fs := procfs.FS(procfs.Root)
	r.Process.Resident, _ = fs.Resident()
	r.Process.OpenFiles, _ = fs.OpenFiles()
	if src.log == nil {
		return r
	}
	l := src.log.LogStats()
	r.Log = &logStats{
		First: strconv.FormatUint(l.First, 10), Last: strconv.FormatUint(l.Last, 10),
		Records: l.Count, Bytes: l.Bytes, DiskBytes: l.DiskBytes, Sync: l.Sync,
		Retention: retentionOf(l.Retention),
	}
	if l.Err != nil {
		r.Log.Error = l.Err.Error()
	}
	if t := l.LostTail; t.To != 0 {
		r.Log.LostTail = &lostTailStats{strconv.FormatUint(t.From, 10), strconv.FormatUint(t.To, 10), t.Records}
	}
	return r
}

func (src *statsSource) serveStats(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, src.reply())
}

// serveHealth answers 200, or 503 as a problem: the hub cannot take or deliver events now, or is about to end.
func (src *statsSource) serveHealth(w http.ResponseWriter, _ *http.Request) {
	if err := src.hub.Healthy(); err != nil {
		unwell(w, err, src.quiet)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// unwell answers that the hub is not well. Strangers, who may ask, are not told why.
func unwell(w http.ResponseWriter, why error, quiet bool) {
	text := why.Error()
	if quiet {
		text = "not now"
	}
	stream.WriteError(w, &stream.Error{Status: http.StatusServiceUnavailable, Message: text})
}

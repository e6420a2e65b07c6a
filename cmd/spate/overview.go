package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"

	"github.com/spatehub/spate/cmd/spate/internal/overview"
	"github.com/spatehub/spate/cmd/spate/internal/procfs"
	"github.com/spatehub/spate/serve/stream"
)

// overviewReply is the answer to GET /overview.
type overviewReply struct {
	Now    statsReply      `json:"now"` // as of GET /stats
	Series overview.Series `json:"series"`
}

// defaultStep is how many seconds lie between two samples that are told, and maxStep how many may.
const (
	defaultStep = 5
	maxStep     = 60
)

// newOverview begins to keep what the overview tells.
func (src *statsSource) newOverview() *overview.History {
	return overview.New(overview.Source{Hub: src.hub, Log: src.log, Process: processNow})
}

// processNow is the process as the system tells of it.
func processNow() overview.Process {
	fs := procfs.FS(procfs.Root)
	resident, _ := fs.Resident()
	used, _ := fs.ProcessorTime()
	return overview.Process{CPU: used.Seconds(), Resident: resident, Goroutines: runtime.NumGoroutine()}
}

// overviewRoute answers GET /overview.
type overviewRoute struct {
	stats   *statsSource
	history *overview.History
	query   []string // parameters that the authorizer reads
}

func (o *overviewRoute) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, err := stream.ParseRouteQuery(r, slices.Concat([]string{"after", "step"}, o.query), nil)
	if err != nil {
		stream.WriteError(w, stream.AuthorizerError(err))
		return
	}
	after, step, refusal := overviewWish(q)
	if refusal != nil {
		stream.WriteError(w, refusal)
		return
	}
	writeCompact(w, overviewReply{o.stats.reply(), o.history.Since(after, step)})
}

// overviewWish reads the parameters: after, in Unix milliseconds, 0 without it, and step, in seconds.
func overviewWish(q url.Values) (after int64, step int, refusal *stream.Error) {
	step = defaultStep
	if q.Has("after") {
		var err error
		if after, err = strconv.ParseInt(q.Get("after"), 10, 64); err != nil || after < 0 {
			return 0, 0, &stream.Error{Status: http.StatusBadRequest, Field: "after", Message: "must be a time in Unix milliseconds"}
		}
	}
	if q.Has("step") {
		var err error
		if step, err = strconv.Atoi(q.Get("step")); err != nil || step < 1 || step > maxStep {
			return 0, 0, &stream.Error{Status: http.StatusBadRequest, Field: "step", Message: fmt.Sprintf("must be a number from 1 to %d", maxStep)}
		}
	}
	return after, step, nil
}

// writeCompact is writeJSON for what programs ask for again and again: without indents.
func writeCompact(w http.ResponseWriter, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(body) // the peer may be gone
}

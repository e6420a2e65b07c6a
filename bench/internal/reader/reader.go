//go:build linux

// Package reader is the load of a benchmark: one process, one thread and one epoll instance that hold any number of
// streams, check what each of them receives and note how long it was under way.
//
// loadtest does the same and far more, for any server. This reader exists for what loadtest can't do: it tells a server
// that publishes by itself how far the slowest stream is, so that throughput is measured with a bounded number of events
// under way; and since it looks for nothing but the stamps, it keeps up with five million events a second.
package reader

import (
	"time"

	"github.com/spatehub/spate/loadtest/stamp"
)

// Part is the name of this part for proc.Start.
const Part = "reader"

// Setup is what the process of a reader is started with.
type Setup struct {
	Progress string `json:"progress"` // file of the word that is told what every stream has had
}

// Request asks one thing of a reader; exactly one field is set.
type Request struct {
	Connect *Connect `json:"connect,omitempty"`
	Measure *Measure `json:"measure,omitempty"`
	Finish  *Finish  `json:"finish,omitempty"`
	Drop    *Drop    `json:"drop,omitempty"`
}

// Connect opens streams; those of an earlier Connect must have been dropped. It is answered, with Opened, when each has
// its response head or has failed.
type Connect struct {
	Port        int           `json:"port"`
	Path        string        `json:"path"`         // {n} stands for the stream's number, {t} for its topic's, {last} for LastID
	StalledPath string        `json:"stalled_path"` // the same for stalled streams
	Streams     int           `json:"streams"`
	Stalled     int           `json:"stalled"`         // streams beside those that never read after the head
	Churn       int           `json:"churn,omitempty"` // streams beside those that come and go
	Stay        int           `json:"stay,omitempty"`  // events for which each of them stays
	TLS         bool          `json:"tls,omitempty"`
	Gzip        bool          `json:"gzip,omitempty"` // what the streams ask for, and must get
	InFlight    int           `json:"in_flight"`      // most connections under way at once
	LastID      string        `json:"last_id,omitempty"`
	Bearers     []string      `json:"bearers,omitempty"` // tokens by the stream's number; nil: none are sent
	Kind        stamp.Kind    `json:"kind"`
	Targets     int           `json:"targets"` // users or topics; stream n is user n and follows topic n, modulo this
	Had         uint64        `json:"had"`     // events published before those that the streams are owed
	Timeout     time.Duration `json:"timeout"`
}

// Opened answers Connect.
type Opened struct {
	Open    int            `json:"open"`
	Failed  map[string]int `json:"failed,omitempty"` // by what went wrong
	Elapsed time.Duration  `json:"elapsed"`
	Latency Latency        `json:"latency"` // start of the connection until the response head
}

// Measure begins a measurement: everything counts from zero, and Had events have been published. It is answered at once.
type Measure struct {
	Run uint32 `json:"run"`
	Had uint64 `json:"had"`
}

// Finish ends a measurement. It is answered, with Result, when every stream has all of Total events, or when nothing has
// come for Quiet.
type Finish struct {
	Total uint64        `json:"total"`
	Quiet time.Duration `json:"quiet"`
}

// Counts are what went right and wrong since Measure.
type Counts struct {
	Deliveries   uint64 `json:"deliveries"` // events received by those they are for, each once
	Lost         uint64 `json:"lost"`
	Duplicates   uint64 `json:"duplicates"`
	Disorder     uint64 `json:"disorder"` // of Deliveries: after a later one
	Misaddressed uint64 `json:"misaddressed"`
	Corrupt      uint64 `json:"corrupt"`
	Foreign      uint64 `json:"foreign"`  // of another run
	Ended        uint64 `json:"ended"`    // streams that the server ended
	Bytes        uint64 `json:"bytes"`    // as they came over the network
	Passed       uint64 `json:"passed"`   // events received by streams that come and go
	Reopened     uint64 `json:"reopened"` // times that one of these came again
}

// Result answers Finish.
type Result struct {
	Counts
	Latency Latency       `json:"latency"` // due time until receipt
	Last    int64         `json:"last"`    // time of the last delivery, nanoseconds since the Unix epoch
	CPU     time.Duration `json:"cpu"`     // the reader's own, since Measure
	Elapsed time.Duration `json:"elapsed"` // since Measure
}

// Drop closes all streams. It is answered at once.
type Drop struct{}

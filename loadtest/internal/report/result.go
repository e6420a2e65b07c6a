// Package report holds the result of a run and shows it: as a table, as JSON,
// as an HTML page, beside other runs, and against expectations.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/hist"
	"github.com/spatehub/spate/loadtest/internal/probe"
)

// Version is the version of the JSON form. It changes when a field changes its
// meaning or goes; new fields do not change it.
const Version = 1

// Result is all that a run has found. Times named _ns are nanoseconds.
type Result struct {
	Version     int           `json:"version"`
	Name        string        `json:"name,omitempty"`
	Started     time.Time     `json:"started"`
	Interrupted bool          `json:"interrupted"` // ended by the user before its time
	Machine     probe.Machine `json:"machine"`
	Config      config.Config `json:"config"`
	Command     string        `json:"command,omitempty"`       // by which the run can be repeated, without secrets
	Tool        string        `json:"loadtest,omitempty"`      // version of the load tester
	Software    string        `json:"server_header,omitempty"` // what the server says of itself, in the header Server

	Seconds     Phases       `json:"seconds"`
	Streams     Streams      `json:"streams"`
	Published   Published    `json:"published"`
	Deliveries  Deliveries   `json:"deliveries"`
	Events      Events       `json:"events"`
	Completions *Completions `json:"completions,omitempty"` // of -finite streams
	Checks      Checks       `json:"checks"`
	Latency     hist.Summary `json:"latency"` // due time to receipt
	Connect     hist.Summary `json:"connect"`
	TTFB        hist.Summary `json:"ttfb"`
	Resume      hist.Summary `json:"resume"`
	Errors      Kinds        `json:"errors"` // of streams, by kind
	Server      *Server      `json:"server,omitempty"`
	Tester      Tester       `json:"tester"`
	Verdict     Verdict      `json:"verdict"`
	Groups      []Group      `json:"groups,omitempty"`
	Marks       []Mark       `json:"marks,omitempty"`
	Timeline    []Point      `json:"timeline"`
	Histograms  Histograms   `json:"histograms"`
}

// Group is what a group of streams received. Slow and stalled streams are not in
// Lost.
type Group struct {
	Name       string       `json:"name"`
	Streams    int          `json:"streams"`
	Deliveries int64        `json:"deliveries"`
	Lost       uint64       `json:"lost"`
	Latency    hist.Summary `json:"latency"`
}

// Mark is something that was done at a moment of the run.
type Mark struct {
	At   float64 `json:"at"` // seconds since the run began
	Text string  `json:"text"`
}

// Kinds counts errors by kind.
type Kinds map[string]int64

// Total is the sum of all kinds.
func (k Kinds) Total() int64 {
	var n int64
	for _, v := range k {
		n += v
	}
	return n
}

// Phases are the lengths of a run's parts in seconds.
type Phases struct {
	Ramp    float64 `json:"ramp"`    // until all streams were open
	Settle  float64 `json:"settle"`  // from then to the first event
	Publish float64 `json:"publish"` // first to last event
	Drain   float64 `json:"drain"`   // until nothing was missing, or waiting was given up
	Window  float64 `json:"window"`  // measured time: from the end of the warm-up to the last receipt
}

// Streams counts streams and connections.
type Streams struct {
	Wanted      int   `json:"wanted"`
	Peak        int64 `json:"peak"`        // open at the same time, as seen at the points of the timeline
	NeverOpen   int   `json:"never_open"`  // never accepted by the server
	Offline     int   `json:"offline"`     // not open at the end, though they should have been
	SentAway    int   `json:"sent_away"`   // told by 204 to stay away, which they did
	Tried       int   `json:"tried"`       // opened and closed before the run, to see whether the URL is right; counted nowhere else
	Connects    int64 `json:"connects"`    // attempts
	Opened      int64 `json:"opened"`      // accepted, reconnections included
	Resumed     int64 `json:"resumed"`     // of Opened: with Last-Event-ID
	Dropped     int64 `json:"dropped"`     // closed by the tester: churn, storms
	Disconnects int64 `json:"disconnects"` // closed by the server or the network
}

// Published is what the built-in publisher did.
type Published struct {
	Events    int64        `json:"events"` // accepted by the server
	Wanted    float64      `json:"wanted_per_second"`
	PerSecond float64      `json:"per_second"`
	Bytes     int64        `json:"bytes"`
	Requests  int64        `json:"requests"`
	Failed    int64        `json:"failed"` // events of requests that failed
	Errors    Kinds        `json:"errors"`
	Push      hist.Summary `json:"push"`   // a request until its answer
	Behind    hist.Summary `json:"behind"` // due time until the request was sent

	// Elsewhere means that this run has published nothing: all figures are null in
	// the JSON.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// MarshalJSON writes null for what was not measured.
func (p Published) MarshalJSON() ([]byte, error) {
	type plain Published
	if !p.Elsewhere {
		return json.Marshal(plain(p))
	}
	return withNulls(plain(p), "events", "wanted_per_second", "per_second", "bytes", "requests", "failed", "errors")
}

// Deliveries is what the streams received.
type Deliveries struct {
	Count          int64   `json:"count"`    // first receipts by addressees
	Expected       uint64  `json:"expected"` // Count and what was lost
	Replayed       int64   `json:"replayed"` // of Count: after a reconnection
	WarmUp         int64   `json:"warm_up"`  // of Count: due before the measured time
	PerSecond      float64 `json:"per_second"`
	Bytes          int64   `json:"bytes"` // of responses, framing included
	BytesPerSecond float64 `json:"bytes_per_second"`
	Events         int64   `json:"events"`  // all events, foreign ones and doubles included
	Foreign        int64   `json:"foreign"` // not of this run
	Comments       int64   `json:"comments"`

	// Unchecked means that the streams' events carry no stamp of this run: Count,
	// Expected and PerSecond were not measured, and are null in the JSON.
	Unchecked bool `json:"unchecked,omitempty"`
}

// MarshalJSON writes null for what was not measured.
func (d Deliveries) MarshalJSON() ([]byte, error) {
	type plain Deliveries
	if !d.Unchecked {
		return json.Marshal(plain(d))
	}
	return withNulls(plain(d), "count", "expected", "replayed", "warm_up", "per_second")
}

// withNulls writes v with null for the named fields.
func withNulls(v any, names ...string) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, err
	}
	for _, n := range names {
		fields[n] = nil
	}
	return json.Marshal(fields)
}

// Events is what is known of all events, whoever published them. All after First
// are measured where the deployment publishes by itself (Observed).
type Events struct {
	Count     int64        `json:"count"`
	PerSecond float64      `json:"per_second"` // from the last stream open to the end of the run
	DataBytes int64        `json:"data_bytes"`
	Comments  int64        `json:"comments"`
	First     hist.Summary `json:"first"` // request to first event of a connection

	Observed     bool                 `json:"observed"`
	Gap          hist.Summary         `json:"gap"`                          // between two events of a stream
	Silence      int64                `json:"longest_silence_ns,omitempty"` // longest span without an event on an open stream
	Silences     int64                `json:"silences"`                     // spans longer than -silence
	Silent       int                  `json:"silent_at_end"`                // of them: not over at the end
	IDDuplicates int64                `json:"id_duplicates"`                // of the last 256 IDs of the stream, one came again
	IDDisorder   int64                `json:"id_disorder"`                  // decimal IDs below an earlier one of the stream
	Delay        hist.Summary         `json:"delay"`                        // from the time in the data to the receipt
	DelayNone    int64                `json:"delay_without_time"`
	DelayAhead   int64                `json:"delay_in_future"`
	Types        map[string]EventType `json:"types,omitempty"`
}

// MarshalJSON writes null for what was not measured.
func (e Events) MarshalJSON() ([]byte, error) {
	type plain Events
	if e.Observed {
		return json.Marshal(plain(e))
	}
	return withNulls(plain(e), "silences", "silent_at_end", "id_duplicates", "id_disorder", "delay_without_time", "delay_in_future")
}

// EventType is what is known of one event type; beyond 64 types, all others are one.
type EventType struct {
	Events    int64        `json:"events"`
	DataBytes int64        `json:"data_bytes"`
	Delay     hist.Summary `json:"delay"`
}

// Completions is how finite streams went.
type Completions struct {
	Completed       int64        `json:"completed"`  // had their last event, or the response's end
	Truncated       int64        `json:"truncated"`  // ended before it
	Refused         int64        `json:"refused"`    // no stream in answer
	Unstarted       int64        `json:"unstarted"`  // arrivals that no stream was free for until the end
	Unfinished      int          `json:"unfinished"` // under way when the run ended
	PerSecond       float64      `json:"per_second"`
	Tokens          int64        `json:"tokens"`
	TokensPerSecond float64      `json:"tokens_per_second"`
	Token           hist.Summary `json:"first_token"` // due time of the request until the first token
	Between         hist.Summary `json:"between_tokens"`
	Whole           hist.Summary `json:"whole"` // due time of the request until the end
}

// Checks counts what must not happen. All but MissedAway and Unread are 0 with a
// sound server.
type Checks struct {
	Lost         uint64 `json:"lost"`         // owed to a stream, and never received
	LostAtJoin   uint64 `json:"lost_at_join"` // of Lost: right after the stream was accepted
	LostTail     uint64 `json:"lost_tail"`    // of Lost: nothing newer came either
	Duplicates   int64  `json:"duplicates"`
	Disorder     int64  `json:"disorder"` // received after a newer event of the same sender and target
	Misaddressed int64  `json:"misaddressed"`
	Corrupt      int64  `json:"corrupt"`
	IDDisorder   int64  `json:"id_disorder"`
	IDSwapped    int64  `json:"id_disorder_seen_otherwise"` // of IDDisorder: of events that are in Duplicates or Disorder too
	IDMissing    int64  `json:"id_missing"`                 // events of the run without an ID, or with one that is no decimal number
	Gaps         int64  `json:"gaps"`                       // the server said that history was lost
	Unread       uint64 `json:"unread_by_slow"`             // on its way to slow streams at the end; no fault

	// MissedAway is what was published while streams were away that had no ID to
	// resume from, or were told to stay away. Nobody owes it to them, and whether
	// the server would have had it cannot be known.
	MissedAway uint64 `json:"missed_away"`
	// Unchecked means that nothing could be checked by a stamp: all but IDDisorder,
	// IDMissing and Gaps were not measured, and are null in the JSON.
	Unchecked bool `json:"unchecked,omitempty"`
	// Elsewhere means that another program published: of what is missing, only
	// what later events passed over is known, and counted in Lost.
	Elsewhere bool `json:"elsewhere,omitempty"`
	// NoIDs means that IDs were not checked: IDDisorder and IDMissing were not
	// measured, and are null in the JSON.
	NoIDs bool `json:"ids_unchecked,omitempty"`
}

// MarshalJSON writes null for what was not measured.
func (c Checks) MarshalJSON() ([]byte, error) {
	type plain Checks
	var none []string
	switch {
	case c.Unchecked:
		none = []string{"lost", "lost_at_join", "lost_tail", "duplicates", "disorder", "misaddressed", "corrupt", "unread_by_slow", "missed_away"}
	case c.Elsewhere:
		none = []string{"lost_tail"}
	}
	if c.NoIDs {
		none = append(none, "id_disorder", "id_disorder_seen_otherwise", "id_missing")
	}
	if none == nil {
		return json.Marshal(plain(c))
	}
	return withNulls(plain(c), none...)
}

// Sound reports whether everything that could be checked is as it has to be, and
// whether there was anything to check.
func (c Checks) Sound() (sound, checked bool) {
	faults := int64(c.Lost) + c.Duplicates + c.Disorder + c.Misaddressed + c.Corrupt + c.IDDisorder + c.IDMissing
	return faults == 0, !c.Unchecked
}

// Server is what the run cost the server.
type Server struct {
	CPUSeconds    float64 `json:"cpu_seconds"`                  // from the first event to the end of the drain
	CPUShare      float64 `json:"cpu_share"`                    // processors in use on average over that time
	CPUPerDeliver float64 `json:"cpu_us_per_receipt,omitempty"` // microseconds, per delivery
	RSSIdle       int64   `json:"rss_before_streams"`           // bytes
	RSSOpen       int64   `json:"rss_streams_open"`             // bytes, before the first event
	RSSPeak       int64   `json:"rss_peak"`                     // bytes, at the points of the timeline
	RSSEnd        int64   `json:"rss_end"`                      // bytes
	KiBPerStream  float64 `json:"kib_per_stream,omitempty"`     // RSSOpen less RSSIdle, per open stream; there is none if the server had that memory already
}

// Tester is what the run cost the load tester itself.
type Tester struct {
	CPUSeconds float64      `json:"cpu_seconds"`
	CPUShare   float64      `json:"cpu_share"` // processors in use while publishing
	Lag        hist.Summary `json:"lag"`       // lateness of its timers, in all its processes
	Wake       hist.Summary `json:"wake"`      // lateness of the publisher's alarm
	BusyPeak   float64      `json:"busy_peak"` // busiest event loop in one interval of publishing, share of the time
	Busy       float64      `json:"busy"`      // event loops while publishing, share of the time
	RSSPeak    int64        `json:"rss_peak"`  // bytes; of the worker processes together if there are any, else of the whole tester
}

// Point is one interval of the timeline.
type Point struct {
	At         float64 `json:"at"` // seconds since the run began, at the interval's end
	Span       float64 `json:"span"`
	Phase      string  `json:"phase"` // ramp, settle, publish or drain
	Open       int64   `json:"open"`
	Opened     int64   `json:"opened"`
	Published  int64   `json:"published"`
	Deliveries int64   `json:"deliveries"`
	Bytes      int64   `json:"bytes"`
	Events     int64   `json:"events"`
	Errors     int64   `json:"errors"`
	Faults     int64   `json:"faults"`     // doubled, out of order, misaddressed, corrupt, IDs; loss is known at the end only
	Reconnects int64   `json:"reconnects"` // of Opened: not for the first time
	Silences   int64   `json:"silences,omitempty"`
	Completed  int64   `json:"completed,omitempty"`
	Truncated  int64   `json:"truncated,omitempty"`
	Tokens     int64   `json:"tokens,omitempty"`
	DelayP99   int64   `json:"delay_p99_ns,omitempty"`
	TokenP50   int64   `json:"first_token_p50_ns,omitempty"`
	TokenP99   int64   `json:"first_token_p99_ns,omitempty"`
	GapMax     int64   `json:"gap_max_ns,omitempty"`
	P50        int64   `json:"p50_ns,omitempty"` // of the interval; there is none where nothing was measured
	P99        int64   `json:"p99_ns,omitempty"`
	Max        int64   `json:"max_ns,omitempty"`
	ServerCPU  float64 `json:"server_cpu,omitempty"` // processors in use
	ServerRSS  int64   `json:"server_rss,omitempty"` // bytes
	TesterCPU  float64 `json:"tester_cpu"`           // processors in use
}

// Histograms are the complete distributions, in HdrHistogram's compressed form.
type Histograms struct {
	Latency hist.Hist `json:"latency"`
	Connect hist.Hist `json:"connect"`
	TTFB    hist.Hist `json:"ttfb"`
	Resume  hist.Hist `json:"resume"`
	Push    hist.Hist `json:"push"`
	Behind  hist.Hist `json:"behind"`
	Lag     hist.Hist `json:"lag"`

	First   hist.Hist `json:"first"`
	Gap     hist.Hist `json:"gap"`
	Delay   hist.Hist `json:"delay"`
	Token   hist.Hist `json:"first_token"`
	Between hist.Hist `json:"between_tokens"`
	Whole   hist.Hist `json:"whole"`
}

// Verdict says whether the figures count, and whether they are as expected.
type Verdict struct {
	Valid        bool          `json:"valid"`
	Invalid      []string      `json:"invalid,omitempty"`  // why the tester was the bottleneck
	Warnings     []string      `json:"warnings,omitempty"` // what to know when reading the figures
	Expectations []Expectation `json:"expectations,omitempty"`
}

// Exit codes of the command.
const (
	ExitOK          = 0
	ExitUnexpected  = 1 // an expectation did not hold, or a comparison is beyond its tolerance
	ExitUsage       = 2 // wrong flags, or the run could not start
	ExitInvalid     = 3 // the tester itself was the bottleneck
	ExitInterrupted = 4 // ended by the user: what was expected has not been measured to its end
)

// ExitCode is the command's exit code for this result.
func (r *Result) ExitCode() int {
	switch {
	case r.Interrupted:
		return ExitInterrupted
	case !r.Verdict.Valid:
		return ExitInvalid
	}
	for _, e := range r.Verdict.Expectations {
		if !e.OK {
			return ExitUnexpected
		}
	}
	return ExitOK
}

// Write writes the result as JSON.
func (r *Result) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(r)
}

// Read reads what Write wrote.
func Read(file string) (*Result, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &Result{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s is no result of a run (made by -json): %w", file, err)
	}
	if r.Version != Version {
		return nil, fmt.Errorf("%s: %w", file, errVersion)
	}
	return r, nil
}

var errVersion = errors.New("it is no result of a run, or one of another version of the load tester")

// Label names the run in tables and plots.
func (r *Result) Label() string {
	if r.Name != "" {
		return r.Name
	}
	if !r.Config.Publish {
		return fmt.Sprintf("%s, %d streams", r.Config.Adapter, r.Streams.Wanted)
	}
	return fmt.Sprintf("%s %d×%s", r.Config.Adapter, r.Streams.Wanted, r.Config.Rate)
}

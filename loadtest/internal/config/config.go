// Package config is what a run is asked to do: the values of the flags, read
// and checked, in a form that can be stored with the results and handed to
// worker processes.
package config

import (
	"time"

	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/pacer"
)

// Config describes one run. Start from Default. Durations are nanoseconds in
// JSON.
type Config struct {
	Name string `json:"name,omitempty"` // label of the run in reports

	// Subscribers.
	Adapter         string        `json:"adapter"`
	URL             string        `json:"url"`               // of a stream, a template; or the server's, and the adapter knows the rest
	Streams         int           `json:"streams"`           // how many
	Users           int           `json:"users"`             // 0 = one for each stream
	Topics          int           `json:"topics"`            // how many there are; 0 = none
	TopicsPerStream int           `json:"topics_per_stream"` // how many each stream follows
	ConnectRate     float64       `json:"connect_rate"`      // new connections a second, all processes together
	Header          []string      `json:"-"`                 // "Name: value" templates; not stored, they hold secrets
	Bearer          string        `json:"-"`                 // template of a bearer token
	Tokens          []string      `json:"-"`                 // by user; {{.Token}} in templates
	several         bool          // URLs were given; Dests are theirs
	Sources         []string      `json:"sources,omitempty"` // local addresses to spread connections over
	Dests           []string      `json:"dests,omitempty"`   // addresses of the server, or servers, to spread connections over, host or host:port
	Mode            string        `json:"mode"`              // ModeAuto, ModeRaw or ModePortable
	HTTP2           bool          `json:"http2"`
	Insecure        bool          `json:"insecure"`
	CACert          string        `json:"-"` // PEM
	Procs           int           `json:"procs"`
	Fork            bool          `json:"-"` // subscribers run in worker processes even if Procs is 1
	Loops           int           `json:"loops"`
	Agents          []string      `json:"agents,omitempty"` // addresses of other machines that hold the streams
	ConnectTimeout  time.Duration `json:"connect_timeout"`
	Retry           time.Duration `json:"retry"` // before an ended or failed stream connects again
	MaxEvent        int           `json:"max_event"`
	Try             bool          `json:"try"`                              // open one stream before the run, to explain at once what is wrong
	PerConn         int           `json:"streams_per_connection,omitempty"` // most streams in one HTTP/2 connection; 0 = as many as the server allows
	Method          string        `json:"method,omitempty"`                 // of the request for a stream; "" = GET
	Body            string        `json:"body,omitempty"`                   // template of its body
	Rows            []Row         `json:"-"`                                // what {{.Row.name}} stands for: by user, or by request of finite streams

	// Behaviour.
	Resume   bool          `json:"resume"`
	Churn    float64       `json:"churn"`          // share of the streams that drop each second
	Move     float64       `json:"move,omitempty"` // share of the streams that go on at the next of Dests each minute
	Away     time.Duration `json:"away"`           // how long a dropped stream stays away
	Slow     float64       `json:"slow"`           // share of the streams
	SlowRate int           `json:"slow_rate"`
	Stall    float64       `json:"stall"` // share of the streams
	Storms   []Storm       `json:"storms,omitempty"`
	GapType  string        `json:"gap_type"`
	CheckIDs bool          `json:"check_ids"`

	// Groups of streams that behave differently, and how load changes over time.
	Groups []Group  `json:"groups,omitempty"` // in the order of the streams; the rest, if any, behaves as all others do
	Line   []Target `json:"line,omitempty"`   // numbers of open streams over time; empty = Streams throughout
	Marks  []Label  `json:"labels,omitempty"` // names of moments, shown in plots
	Abort  []string `json:"abort,omitempty"`  // conditions that end the run

	Login Login `json:"login,omitzero"`

	// What is measured of events without a stamp.
	Silence    time.Duration `json:"silence,omitempty"`   // span without an event that counts as silence; 0 = none does
	TimeFrom   string        `json:"time_from,omitempty"` // where events hold the time of their making
	TimeFormat string        `json:"time_format,omitempty"`

	// Finite streams.
	Finite    bool   `json:"finite,omitempty"`     // the server ends each stream
	EndMarker string `json:"end_marker,omitempty"` // data of the last event
	TokenFrom string `json:"token_from,omitempty"` // what of an event makes it a token
	Think     string `json:"think,omitempty"`      // pause between two requests of a stream: a duration, or two with a dash
	Arrivals  string `json:"arrivals,omitempty"`   // schedule of the requests; "" = each stream asks again after Think

	// Publisher.
	Publish     bool          `json:"publish"` // false: the deployment publishes by itself
	PushURL     string        `json:"push_url"`
	PushMethod  string        `json:"push_method,omitempty"`
	PushHeader  []string      `json:"-"`
	PushBody    string        `json:"push_body,omitempty"`
	PushKey     string        `json:"-"` // bearer token, API key, or the secret that Mercure's tokens are signed with
	SubKey      string        `json:"-"` // the secret that Mercure's subscriber tokens are signed with
	Rate        string        `json:"rate"`
	Events      uint64        `json:"events,omitempty"` // stop after so many; 0 = only by Duration
	Duration    time.Duration `json:"duration"`
	Connections int           `json:"connections"`
	Batch       int           `json:"batch"`
	Size        string        `json:"size"`
	To          string        `json:"to"`
	EventType   string        `json:"event_type"`
	Seed        uint64        `json:"seed"`
	RunID       string        `json:"run_id"` // hexadecimal; drawn if empty

	// Phases.
	RampTimeout time.Duration `json:"ramp_timeout"` // to get all streams open
	Settle      time.Duration `json:"settle"`       // between the last stream open and the first event
	WarmUp      time.Duration `json:"warm_up"`
	Drain       time.Duration `json:"drain"` // longest wait for what is missing at the end

	// Figures.
	Interval      time.Duration `json:"interval"`
	ServerPID     int           `json:"server_pid,omitempty"`
	ServerMetrics string        `json:"server_metrics,omitempty"`
	Expect        []string      `json:"expect,omitempty"`
	MaxLag        time.Duration `json:"max_lag"`  // own p99 lateness above which a run is invalid; 0 = any
	MaxBusy       float64       `json:"max_busy"` // busy share of an event loop above which a run is invalid; 0 = any
}

// How streams are read.
const (
	ModeAuto     = "auto"     // raw where it can be, else portable
	ModeRaw      = "raw"      // epoll, HTTP/1.1 without TLS, on Linux
	ModePortable = "portable" // net/http: TLS, HTTP/2, any system
)

// Group is a share of the streams that behaves differently from the others. What is
// not given is as in the rest of the configuration.
type Group struct {
	Name     string         `json:"name"`
	Share    float64        `json:"share"` // of all streams
	URL      string         `json:"url,omitempty"`
	Header   []string       `json:"-"`
	Topic    *int           `json:"topic,omitempty"` // first topic that all streams of the group follow
	Churn    *float64       `json:"churn,omitempty"`
	Away     *time.Duration `json:"away,omitempty"`
	Slow     *float64       `json:"slow,omitempty"`
	SlowRate *int           `json:"slow_rate,omitempty"`
	Stall    *float64       `json:"stall,omitempty"`
}

// Target is a number of open streams at a moment after publishing began. From one
// to the next it goes evenly.
type Target struct {
	At      time.Duration `json:"at"`
	Streams int           `json:"streams"`
}

// Label names a moment after publishing began.
type Label struct {
	At   time.Duration `json:"at"`
	Text string        `json:"text"`
}

// Login is a request that each user makes before its streams are opened.
type Login struct {
	URL    string   `json:"url,omitempty"` // template; "" = there is none
	Method string   `json:"method,omitempty"`
	Body   string   `json:"-"`
	Header []string `json:"-"`
	Take   []string `json:"take,omitempty"` // "name=json:$.path", "name=cookie:NAME" or "name=header:NAME"
}

// Row is one line of a file of data: values by column.
type Row map[string]string

// Storm is a moment at which streams drop and come back at once.
type Storm struct {
	At    time.Duration `json:"at"`    // after publishing began
	Share float64       `json:"share"` // of the streams
}

// Default returns the values of flags that are not given.
func Default() Config {
	return Config{
		Adapter:         "spate",
		Streams:         100,
		TopicsPerStream: 1,
		ConnectRate:     2000,
		Mode:            ModeAuto,
		Procs:           1,
		Loops:           1,
		ConnectTimeout:  10 * time.Second,
		Retry:           time.Second,
		MaxEvent:        1 << 20,
		Try:             true,
		TimeFormat:      "auto",
		Resume:          true,
		Away:            100 * time.Millisecond,
		SlowRate:        1 << 10,
		GapType:         "gap",
		Publish:         true,
		Rate:            "10/s",
		Duration:        30 * time.Second,
		Connections:     4,
		Batch:           1,
		Size:            "200",
		To:              "broadcast",
		EventType:       "message",
		Seed:            1,
		RampTimeout:     time.Minute,
		Settle:          500 * time.Millisecond,
		Drain:           10 * time.Second,
		Interval:        time.Second,
		MaxLag:          10 * time.Millisecond,
		MaxBusy:         0.95,
	}
}

// Space is the extent of the run's numbering.
func (c *Config) Space() check.Space {
	return check.Space{Lanes: c.Connections, Users: c.Users, Topics: c.Topics}
}

// FollowedTopics is the number of topics that each stream follows.
func (c *Config) FollowedTopics() int { return min(c.TopicsPerStream, c.Topics) }

// User is the index of stream n's user.
func (c *Config) User(n int) uint32 { return uint32(n % c.Users) }

// FirstTopic is the index of the first topic that stream n follows; the others
// are the next ones.
func (c *Config) FirstTopic(n int) uint32 {
	if c.Topics == 0 {
		return 0
	}
	if g := c.Group(n); g >= 0 && c.Groups[g].Topic != nil {
		return uint32(*c.Groups[g].Topic)
	}
	return uint32(n * c.FollowedTopics() % c.Topics)
}

// Observe reports whether events without a stamp are measured: the deployment
// publishes by itself.
func (c *Config) Observe() bool { return !c.Publish }

// Pacer is the schedule that Rate describes.
func (c *Config) Pacer() (pacer.Pacer, error) { return pacer.Parse(c.Rate) }

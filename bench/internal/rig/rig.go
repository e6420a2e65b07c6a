//go:build linux

// Package rig puts a server under test and its load together: two processes, each on a processor of its own where there
// are two, and runs work on them.
package rig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spatehub/spate/bench/internal/proc"
	"github.com/spatehub/spate/bench/internal/reader"
	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// Main carries out the part that this process was started for and exits; in the parent it returns at once. Call it
// first in main or TestMain.
func Main(c server.Catalog) {
	var err error
	switch proc.Part() {
	case "":
		return
	case server.Part:
		err = server.Main(c)
	case reader.Part:
		err = reader.Main()
	default:
		err = fmt.Errorf("no part %q", proc.Part())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// The processors: the load gets the first, the server the second. On a machine with one they share it, and the figures
// say little.
const (
	readerCPU = 0
	serverCPU = 1
)

// Load says what streams there are and what they receive.
type Load struct {
	Streams int
	Stalled int // streams beside them that never read
	Kind    stamp.Kind
	Targets int // users or topics; 0 = one for each stream
	Burst   int // events that may be waiting for one client at a time, for servers that size buffers; 0 = few

	Churn   int           // streams beside them that come and go
	Stay    int           // events for which each of those stays
	TLS     bool          // streams come over TLS
	Gzip    bool          // streams are compressed
	History bool          // streams will be resumed
	Limit   time.Duration // after which both processes are ended, and whatever is under way fails; 0 = none
}

// all is the number of streams of every kind.
func (l Load) all() int { return l.Streams + l.Stalled + l.Churn }

func (l Load) targets() int {
	if l.Targets == 0 {
		return max(1, l.Streams)
	}
	return l.Targets
}

// Rig is one server with its streams. It must be closed. One goroutine at a time may use it.
type Rig struct {
	Name   string
	load   Load
	server *proc.Proc
	reader *proc.Proc
	word   *proc.Shared
	dir    string
	total  uint64 // events published
	runs   uint32
	limit  *time.Timer

	bearers []string // of the streams, where the server wants some
}

// New starts a server and a reader, without streams.
func New(name string, load Load) (*Rig, error) {
	if runtime.NumCPU() < 2 {
		return nil, errors.New("a server and its load need two processors")
	}
	r := &Rig{Name: name, load: load}
	word, file, err := proc.NewShared()
	if err != nil {
		return nil, err
	}
	defer os.Remove(file) // both children have it open by then
	r.word = word
	if r.dir, err = os.MkdirTemp("", "spate-bench-"); err != nil {
		return nil, errors.Join(err, word.Close())
	}
	setup := server.Setup{Server: name, Progress: file, LoadCPU: readerCPU, Options: server.Options{
		Conns: load.all(), Burst: load.Burst, Dir: filepath.Join(r.dir, "data"), Certs: r.dir,
		TLS: load.TLS, Gzip: load.Gzip, History: load.History,
	}}
	if err = r.fillFolder(setup.Options); err != nil {
		r.Close()
		return nil, err
	}
	if load.Kind == stamp.Topic {
		setup.Topics = load.targets()
	}
	r.server, err = proc.Start(server.Part, serverCPU, setup)
	if err == nil {
		r.reader, err = proc.Start(reader.Part, readerCPU, reader.Setup{Progress: file})
	}
	if err == nil && load.Limit > 0 {
		r.limit = time.AfterFunc(load.Limit, r.kill)
	}
	if err == nil {
		err = r.reader.Call(reader.Request{Drop: &reader.Drop{}}, nil)
	}
	if err == nil {
		_, err = r.Info()
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// fillFolder makes what the server finds on disk.
func (r *Rig) fillFolder(o server.Options) error {
	if err := os.Mkdir(o.Dir, 0o700); err != nil || !o.TLS {
		return err
	}
	return writeCertificate(o.Certs)
}

// kill ends both processes, so that a call that waits for one of them fails.
func (r *Rig) kill() {
	r.server.Kill()
	r.reader.Kill()
}

// Close ends both processes.
func (r *Rig) Close() {
	if r.limit != nil {
		r.limit.Stop()
	}
	for _, p := range []*proc.Proc{r.reader, r.server} {
		if p != nil {
			p.Close()
		}
	}
	_ = r.word.Close()
	_ = os.RemoveAll(r.dir)
}

// Info asks the server about itself.
func (r *Rig) Info() (info server.Info, err error) {
	err = r.server.Call(server.Request{Info: &server.InfoKind{Kind: byte(r.load.Kind)}}, &info)
	return info, err
}

// Usage asks the server what it has used.
func (r *Rig) Usage(settle bool) (u proc.Usage, err error) {
	err = r.server.Call(server.Request{Usage: &server.UsageKind{Settle: settle}}, &u)
	return u, err
}

// connectTimeout bounds the opening of all streams.
const connectTimeout = 60 * time.Second

// Connected tells how the opening of streams went.
type Connected struct {
	reader.Opened
	CPU time.Duration // of the server
}

// Connect opens all streams, as new ones.
func (r *Rig) Connect(inFlight int) (Connected, error) { return r.connect(inFlight, "", r.total) }

// Mark is a moment in the stream of events, to resume from.
type Mark struct {
	LastID string // "" if the server's streams can't be resumed
	Had    uint64 // events published until then
}

// Mark notes the present moment.
func (r *Rig) Mark() (Mark, error) {
	info, err := r.Info()
	return Mark{info.Position, r.total}, err
}

// Resumed tells how the resumption of all streams went.
type Resumed struct {
	Connected         // CPU is of connecting and resending together
	Figures   Figures // of what was resent
}

// Resume opens all streams as clients that have what was published up to a mark, and waits until they have the rest.
func (r *Rig) Resume(inFlight int, m Mark) (s Resumed, err error) {
	before, err := r.Usage(false)
	if err != nil {
		return s, err
	}
	start := time.Now()
	if s.Connected, err = r.connect(inFlight, m.LastID, m.Had); err != nil {
		return s, err
	}
	var res reader.Result
	if err = r.reader.Call(reader.Request{Finish: &reader.Finish{Total: r.total, Quiet: quiet}}, &res); err != nil {
		return s, err
	}
	after, err := r.Usage(false)
	s.CPU = time.Duration(after.CPU - before.CPU)
	s.Figures = Figures{Counts: res.Counts, Events: r.total - m.Had, Elapsed: time.Unix(0, res.Last).Sub(start), ServerCPU: s.CPU, Usage: after}
	return s, err
}

func (r *Rig) connect(inFlight int, lastID string, had uint64) (c Connected, err error) {
	info, err := r.Info()
	if err != nil {
		return c, err
	}
	before, err := r.Usage(false)
	if err != nil {
		return c, err
	}
	if info.Secret != "" && r.bearers == nil {
		if r.bearers, err = bearers(info.Secret, r.load.all()); err != nil {
			return c, err
		}
	}
	err = r.reader.Call(reader.Request{Connect: &reader.Connect{
		Bearers: r.bearers,
		Port:    info.Port, Path: info.Path, StalledPath: info.StalledPath, Streams: r.load.Streams, Stalled: r.load.Stalled, InFlight: inFlight,
		Churn: r.load.Churn, Stay: r.load.Stay, TLS: r.load.TLS, Gzip: r.load.Gzip,
		LastID: lastID, Kind: r.load.Kind, Targets: r.load.targets(), Had: had, Timeout: connectTimeout,
	}}, &c.Opened)
	if err != nil {
		return c, err
	}
	after, err := r.Usage(false)
	c.CPU = time.Duration(after.CPU - before.CPU)
	if c.Open != r.load.all() {
		err = errors.Join(err, fmt.Errorf("%s: %d of %d streams open: %v", r.Name, c.Open, r.load.all(), c.Failed))
	}
	return c, err
}

// Drop closes all streams and waits until the server, if it counts its clients, has noticed.
func (r *Rig) Drop() error {
	if err := r.reader.Call(reader.Request{Drop: &reader.Drop{}}, nil); err != nil {
		return err
	}
	for end := time.Now().Add(connectTimeout); ; {
		info, err := r.Info()
		if err != nil || info.Counters["clients"] == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: still has %g clients", r.Name, info.Counters["clients"])
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Fill sends events to the stalled streams alone, until the kernel takes no more for them: n of size bytes each. The
// server must know topics.
func (r *Rig) Fill(n, size int) error {
	return r.server.Call(server.Request{Fill: &server.Fill{Events: n, Size: size}}, nil)
}

// Command run starts three NATS servers and three hubs on loopback, with a load of
// clients that move between the hubs, and publishers at all of them. It says in the end
// whether every client has every event once.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spatehub/spate/cluster/jetstream/natstest"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// program is a natstest.TB outside of a test.
type program struct {
	cleanups []func()
	failed   bool
}

func (p *program) Helper()           {}
func (p *program) Cleanup(f func())  { p.cleanups = append(p.cleanups, f) }
func (p *program) Error(args ...any) { p.failed = true; fmt.Fprintln(os.Stderr, args...) }
func (p *program) Fatal(args ...any) { p.Error(args...); p.end(); os.Exit(1) }
func (p *program) Fatalf(format string, args ...any) {
	p.Fatal(fmt.Sprintf(format, args...))
}
func (p *program) TempDir() string {
	dir, err := os.MkdirTemp("", "spate-cluster")
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
func (p *program) end() {
	for i := len(p.cleanups) - 1; i >= 0; i-- {
		p.cleanups[i]()
	}
	p.cleanups = nil
}

func main() {
	clients := flag.Int("clients", 60, "clients that move")
	publishers := flag.Int("publishers", 8, "publishers")
	pause := flag.Duration("pause", 5*time.Millisecond, "of each publisher, between pushes")
	length := flag.Duration("for", 0, "how long (0: until Ctrl-C)")
	deliveries := flag.Int64("deliveries", 0, "end once there were so many (0: do not)")
	chaos := flag.Bool("chaos", false, "kill hubs and servers, and stop servers, all the time")
	demo := flag.Bool("demo", true, "measurements of this machine on the dashboards")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of what is random")
	spate := flag.String("spate", "", "the program spate (none: it is built)")
	flag.Parse()
	p := &program{}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *spate == "" {
		*spate = filepath.Join(p.TempDir(), "spate")
		build := exec.Command("go", "build", "-o", *spate, "./cmd/spate")
		build.Dir = "../../.."
		if out, err := build.CombinedOutput(); err != nil {
			p.Fatalf("%v: %s", err, out)
		}
	}
	defer natstest.Clean()
	r := &run{p: p, seed: *seed, nats: natstest.Start(p, 3), max: *publishers}
	flags := []string{}
	if *demo {
		flags = append(flags, "--demo")
	}
	r.hubs = r.nats.StartHubs(*spate, 3, flags...)
	fmt.Printf("seed %d\n", *seed)
	for i, h := range r.hubs.Hubs {
		fmt.Printf("hub %d  %s/\n", i, h.URL)
	}
	fmt.Printf("hubs   %s/cluster\n", r.hubs.Hubs[0].URL)
	if *length > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, *length)
		defer cancel()
	}
	if *deliveries > 0 {
		var cancel func()
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		r.enough, r.most = cancel, *deliveries
	}
	r.run(ctx, *clients, *pause, *chaos)
	p.end()
	if p.failed {
		os.Exit(1)
	}
}

type run struct {
	p    *program
	seed uint64
	max  int
	nats *natstest.Cluster
	hubs *natstest.Hubs

	most   int64 // deliveries after which it ends by enough; 0: none
	enough func()

	mu    sync.Mutex
	acked map[string]uint64 // data to ID
	tried map[string]bool

	seen struct {
		sync.RWMutex
		data map[uint64]string // by ID, as the first client had it
	}

	moves, got, doubt atomic.Int64
	last              atomic.Uint64 // ID of the last event; 0: not yet
}

func (r *run) rng(n int) *rand.Rand { return rand.New(rand.NewPCG(r.seed, uint64(n))) }

func (r *run) url(rng *rand.Rand) string { return r.hubs.Hubs[rng.IntN(len(r.hubs.Hubs))].URL }

func (r *run) run(ctx context.Context, clients int, pause time.Duration, chaos bool) {
	r.acked, r.tried, r.seen.data = map[string]uint64{}, map[string]bool{}, map[uint64]string{}
	start := r.push(r.rng(1), "the beginning")
	var publishing, roaming, others sync.WaitGroup
	for i := range r.max {
		publishing.Go(func() {
			rng := r.rng(10 + i)
			for n := 0; ctx.Err() == nil; n++ {
				r.push(rng, fmt.Sprintf("%d.%d", i, n))
				<-time.After(pause)
			}
		})
	}
	all := make([]*roamer, clients)
	for i := range all {
		all[i] = &roamer{r: r, rng: r.rng(1000 + i), last: start}
		roaming.Go(all[i].roam)
	}
	others.Go(func() { r.report(ctx) })
	if chaos {
		others.Go(func() { r.fail(ctx) })
	}
	publishing.Wait()
	others.Wait()
	r.hubs.AwaitReady()
	r.last.Store(r.push(r.rng(2), "the end"))
	roaming.Wait()
	r.verify(all)
}

// report prints how it goes.
func (r *run) report(ctx context.Context) {
	for was := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(2 * time.Second):
		}
		r.mu.Lock()
		acked := len(r.acked)
		r.mu.Unlock()
		got := r.got.Load()
		fmt.Printf("%d events acknowledged, %d deliveries (%d a second), %d moves\n", acked, got, (got-was)/2, r.moves.Load())
		was = got
	}
}

// push publishes until a hub has answered. It returns the ID, 0 where nobody knows.
func (r *run) push(rng *rand.Rand, data string) uint64 {
	body, _ := json.Marshal(map[string]any{"events": []map[string]string{{"event": "run", "data": data}}})
	r.mu.Lock()
	r.tried[data] = true
	r.mu.Unlock()
	for {
		var answer struct {
			IDs    []string `json:"ids"`
			Detail string   `json:"detail"`
		}
		resp, err := http.Post(r.url(rng)+"/push", "application/json", bytes.NewReader(body))
		if err == nil {
			err = json.NewDecoder(resp.Body).Decode(&answer)
			resp.Body.Close()
		}
		switch {
		case err == nil && len(answer.IDs) == 1:
			id, _ := wire.ParseID(answer.IDs[0])
			r.mu.Lock()
			r.acked[data] = id
			r.mu.Unlock()
			return id
		case err == nil && resp.StatusCode == http.StatusServiceUnavailable && !bytes.Contains([]byte(answer.Detail), []byte("may or may not")) && !bytes.Contains([]byte(answer.Detail), []byte("closed")):
			<-time.After(20 * time.Millisecond) // not published
			continue
		case isRefused(err):
			<-time.After(20 * time.Millisecond) // nobody there
			continue
		}
		r.doubt.Add(1)
		return 0 // a hub that was killed: published or not
	}
}

// fail breaks one thing after the other.
func (r *run) fail(ctx context.Context) {
	rng := r.rng(3)
	wait := func(d time.Duration) {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	}
	for ctx.Err() == nil {
		wait(time.Duration(rng.IntN(2000)) * time.Millisecond)
		i := rng.IntN(3)
		switch rng.IntN(4) {
		case 0:
			r.nats.Kill(i)
			wait(time.Duration(rng.IntN(2000)) * time.Millisecond)
			r.nats.Start(i)
		case 1:
			r.nats.Halt(i, true)
			wait(time.Duration(rng.IntN(4000)) * time.Millisecond)
			r.nats.Halt(i, false)
		default:
			r.hubs.Kill(i)
			wait(time.Duration(rng.IntN(1000)) * time.Millisecond)
			r.hubs.Start(i)
		}
	}
}

// roamer is a client that moves.
type roamer struct {
	r    *run
	rng  *rand.Rand
	last uint64
	got  int // events, each with a higher ID than the one before
	gaps int
}

func (c *roamer) done() bool { last := c.r.last.Load(); return last != 0 && c.last >= last }

func (c *roamer) roam() {
	for !c.done() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(200+c.rng.IntN(3000))*time.Millisecond)
		c.read(ctx)
		cancel()
	}
}

func (c *roamer) read(ctx context.Context) {
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, c.r.url(c.rng)+"/events?uid=roamer", nil)
	req.Header.Set("Last-Event-ID", wire.FormatID(c.last))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		<-time.After(50 * time.Millisecond)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		<-time.After(50 * time.Millisecond)
		return
	}
	c.r.moves.Add(1)
	for d := wire.NewDecoder(resp.Body); !c.done(); {
		e, err := d.Next()
		if err != nil {
			return
		}
		switch e.Event {
		case engine.GapEvent:
			c.gaps++
		case "run":
			id, err := wire.ParseID(e.ID)
			if err != nil || id <= c.last {
				c.r.p.Error("an event that was there already, or is late:", e, "after", c.last)
			}
			c.last = id
			c.got++
			c.r.see(id, fmt.Sprint(e.Data))
			if n := c.r.got.Add(1); n == c.r.most {
				c.r.enough()
			}
		}
	}
}

// see notes what an ID stands for, which is the same for all.
func (r *run) see(id uint64, data string) {
	r.seen.RLock()
	was, there := r.seen.data[id]
	r.seen.RUnlock()
	if !there {
		r.seen.Lock()
		if was, there = r.seen.data[id]; !there {
			was = data
			r.seen.data[id] = data
		}
		r.seen.Unlock()
	}
	if was != data {
		r.p.Error("ID", id, "is", was, "and", data)
	}
}

// verify sees whether everybody has the same, and it is what was acknowledged. Who has as
// many events as there are, with rising IDs that all are among them, has each once.
func (r *run) verify(all []*roamer) {
	want, byData := r.seen.data, map[string]uint64{}
	for id, data := range want {
		if was := byData[data]; was != 0 {
			r.p.Error(data, "is there twice:", was, id)
		}
		if !r.tried[data] {
			r.p.Error("nobody pushed", data)
		}
		byData[data] = id
	}
	for data, id := range r.acked {
		if data != "the beginning" && byData[data] != id {
			r.p.Error(data, "was acknowledged as", id, "and is", byData[data])
		}
	}
	gaps := 0
	for i, c := range all {
		gaps += c.gaps
		if c.got != len(want) {
			r.p.Error("client", i, "has", c.got, "events of", len(want))
		}
	}
	if gaps > 0 {
		r.p.Error(gaps, "gaps were told, and nothing is missing")
	}
	verdict := "every client has every event once"
	if r.p.failed {
		verdict = "FAILED"
	}
	fmt.Printf("%s: %d events, %d acknowledged, %d in doubt; %d clients, %d deliveries, %d moves, %d gaps\n",
		verdict, len(want), len(r.acked), r.doubt.Load(), len(all), r.got.Load(), r.moves.Load(), gaps)
}

// Command run starts three NATS servers and three hubs on loopback, with a load of
// clients that move between the hubs, and publishers at all of them. It says in the end
// whether every client has every event that is for it once.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spatehub/spate/cluster/jetstream/natstest"
)

// program is a natstest.TB outside of a test.
type program struct {
	cleanups []func()
	faults   faults
}

func (p *program) Helper()           {}
func (p *program) Cleanup(f func())  { p.cleanups = append(p.cleanups, f) }
func (p *program) Error(args ...any) { p.faults.tell(fmt.Sprintln(args...)) }
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

// endNext says that the end has begun, and ends the program at the next signal: without
// a quorum of servers clients would wait for ever for what is left.
func (p *program) endNext() {
	next := make(chan os.Signal, 1)
	signal.Notify(next, os.Interrupt, syscall.SIGTERM)
	fmt.Println("ending, once every client has what is left; once more ends at once")
	<-next
	p.Fatal("not every client has what is left: nothing is compared")
}

// settings are the flags.
type settings struct {
	clients, publishers, batch int
	pause, stay, length        time.Duration
	deliveries                 int64
	chaos, lossy, demo         bool
	presence                   bool
	seed                       uint64
	spate                      string
}

func parse() (s settings) {
	flag.IntVar(&s.clients, "clients", 60, "clients that move")
	flag.IntVar(&s.publishers, "publishers", 8, "publishers")
	flag.IntVar(&s.batch, "batch", 1, "events of a push at most")
	flag.DurationVar(&s.pause, "pause", 5*time.Millisecond, "of each publisher, between pushes; they also wait while clients have much to come")
	flag.DurationVar(&s.stay, "stay", 3*time.Second, "how long a client stays at a hub at most")
	flag.DurationVar(&s.length, "for", 0, "how long (0: until Ctrl-C)")
	flag.Int64Var(&s.deliveries, "deliveries", 0, "end once there were so many (0: do not)")
	flag.BoolVar(&s.chaos, "chaos", false, "kill, stop, cut off and slow down hubs and servers, and fill disks, all the time")
	flag.BoolVar(&s.lossy, "lossy", false, "with -chaos: purge the stream and make it anew too; what is missing has to be told by gaps")
	flag.BoolVar(&s.demo, "demo", true, "measurements of this machine on the dashboards")
	flag.BoolVar(&s.presence, "presence", false, "tell of users who come and go, some of them all the time: each has to join and leave in turn, and to have left in the end")
	flag.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()), "of what is random")
	flag.StringVar(&s.spate, "spate", "", "the program spate (none: it is built)")
	flag.Parse()
	return s
}

func main() {
	s := parse()
	if s.presence && s.lossy {
		fmt.Fprintln(os.Stderr, "-presence and -lossy contradict each other: who was told of in a part that is lost joins again")
		os.Exit(2)
	}
	if s.chaos && !inRoomOfItsOwn() {
		os.Exit(enterRoom())
	}
	p := &program{}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, p.endNext)()
	if s.spate == "" {
		s.spate = filepath.Join(p.TempDir(), "spate")
		build := exec.Command("go", "build", "-o", s.spate, "./cmd/spate")
		build.Dir = "../../.."
		if out, err := build.CombinedOutput(); err != nil {
			p.Fatalf("%v: %s", err, out)
		}
	}
	r := start(p, s)
	if s.length > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, s.length)
		defer cancel()
	}
	if s.deliveries > 0 {
		var cancel func()
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		r.enough = cancel
	}
	r.run(ctx)
	p.end()
	natstest.Clean()
	if p.faults.any() {
		os.Exit(1)
	}
}

// start starts servers and hubs. For chaos there are proxies between all of them, and
// small disks.
func start(p *program, s settings) *run {
	r := &run{settings: s, p: p, nats: natstest.StartWith(p, 3, natstest.Access{Routed: s.chaos})}
	r.ledger.init()
	dir := p.TempDir()
	plans := make([]natstest.Plan, 3)
	for i := range plans {
		folder := filepath.Join(dir, fmt.Sprint("disk", i))
		if s.chaos {
			r.disks = append(r.disks, newDisk(p, folder))
		}
		plans[i].Data = filepath.Join(folder, "log")
		if s.demo {
			plans[i].Flags = append(plans[i].Flags, "--demo")
		}
		if s.presence {
			plans[i].Flags = append(plans[i].Flags, "--presence-topic", presenceTopic)
		}
		var ways []*natstest.Proxy
		for _, server := range r.nats.Servers {
			url := server.URL()
			if s.chaos {
				way := natstest.NewProxy(p, url)
				ways, url = append(ways, way), way.URL()
			}
			plans[i].Servers = append(plans[i].Servers, url)
		}
		r.ways = append(r.ways, ways)
	}
	r.hubs = natstest.StartPlanned(p, s.spate, plans)
	fmt.Printf("seed %d\n", s.seed)
	for i, h := range r.hubs.Hubs {
		fmt.Printf("hub %d  %s/\n", i, h.URL)
	}
	fmt.Printf("hubs   %s/cluster\n", r.hubs.Hubs[0].URL)
	return r
}

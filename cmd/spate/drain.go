package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/engine"
)

// drainConfig is how connections are ended.
type drainConfig struct {
	delay     time.Duration // unready, with everything as before
	spread    time.Duration // over which streams are told
	flush     time.Duration // for those that have something waiting
	retry     windowValue
	maxAge    time.Duration
	ageJitter float64
}

// addFlags adds what belongs to the end of connections.
func (c *drainConfig) addFlags(fs *flagSet) {
	c.spread, c.flush, c.ageJitter = 5*time.Second, 5*time.Second, 0.2
	c.retry = windowValue{time.Second, 10 * time.Second}
	fs.Var((*ageValue)(&c.flush), "drain", "`time` given to connections, after --drain-spread, to take what waits for them when the hub ends")
	fs.Var((*ageValue)(&c.delay), "drain-delay", "`time` for which /readyz is 503 before anything else of a drain, so that load balancers turn away")
	fs.Var((*ageValue)(&c.spread), "drain-spread", "`time` over which a drain tells the streams, one after the other (0: at once)")
	fs.Var(&c.retry, "retry-window", "`window` of the time, at random, after which streams that the hub ends shall come back, such as 1s..10s: at a drain, for their age, or by the API (0: as --retry says)")
	fs.Var((*ageValue)(&c.maxAge), "max-connection-age", "ask streams to come back after this `time`, so that load balancers spread them anew (0: never)")
	fs.Float64Var(&c.ageJitter, "connection-age-jitter", 0.2, "largest `share` of --max-connection-age that is taken off, at random for each stream")
}

func (c *drainConfig) validate(fs *flagSet) {
	fs.must(c.flush > 0, "drain", "--drain %v: give a positive duration", c.flush)
	fs.must(c.maxAge == 0 || c.maxAge >= time.Second, "max-connection-age", "--max-connection-age %v: give 1s or more, or 0 for no bound", c.maxAge)
	fs.must(c.ageJitter >= 0 && c.ageJitter <= 1, "connection-age-jitter", "--connection-age-jitter %v: give 0 to 1", c.ageJitter)
}

// longest is how long a drain takes at most.
func (c *drainConfig) longest() time.Duration { return c.delay + c.spread + c.flush }

// windowValue is a window of time, such as 1s..10s.
type windowValue struct{ min, max time.Duration }

func (v *windowValue) String() string {
	if v.max == 0 {
		return "0"
	}
	return (*ageValue)(&v.min).String() + ".." + (*ageValue)(&v.max).String()
}

// Set parses text.
func (v *windowValue) Set(text string) error {
	if text == "0" {
		*v = windowValue{}
		return nil
	}
	var window windowValue
	lo, hi, ok := strings.Cut(text, "..")
	if !ok || (*ageValue)(&window.min).Set(lo) != nil || (*ageValue)(&window.max).Set(hi) != nil {
		return errors.New("give a window such as 1s..10s, or 0 for none")
	}
	if window.max < window.min || window.max == 0 || window.max > time.Hour {
		return errors.New("give a window that does not end before it begins, nor after 1h, such as 1s..10s")
	}
	*v = window
	return nil
}

// drainer drains the hub, once, for whoever asks first.
type drainer struct {
	quiet   bool         // GET /readyz tells no reasons: strangers may ask
	ready   func() error // whether the hub is, but for a drain
	c       drainConfig
	hub     *engine.Hub
	told    io.Writer
	ctx     context.Context // ends a drain before its time
	once    sync.Once
	unready atomic.Bool
	done    chan struct{} // closed when all streams have been told
}

func newDrainer(ctx context.Context, c drainConfig, hub *engine.Hub, told io.Writer) *drainer {
	return &drainer{c: c, hub: hub, ready: hub.Ready, told: told, ctx: ctx, done: make(chan struct{})}
}

// begin starts the drain unless it has been: unready first, then no new streams, and
// the others are told in turn.
func (d *drainer) begin() {
	d.once.Do(func() {
		d.unready.Store(true)
		go func() {
			defer close(d.done)
			select {
			case <-time.After(d.c.delay):
			case <-d.ctx.Done():
				return
			}
			ctx, cancel := context.WithTimeout(d.ctx, d.c.spread+d.c.flush)
			defer cancel()
			n, err := d.hub.Drain(ctx, engine.Drain{Over: d.c.spread, Patience: d.c.flush, RetryMin: d.c.retry.min, RetryMax: d.c.retry.max})
			if err == nil {
				fmt.Fprintf(d.told, "spate: drained, %d streams were told to come back elsewhere\n", n)
			}
		}()
	})
}

// serveReady answers 200 while load balancers may send streams here.
func (d *drainer) serveReady(w http.ResponseWriter, _ *http.Request) {
	err := d.ready()
	if d.unready.Load() && err == nil {
		err = errors.New("the hub drains")
	}
	if err != nil {
		unwell(w, err, d.quiet)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// shutdown ends the hub and its server in good order, after the streams have been
// told. A second signal gives up on all that.
func (d *drainer) shutdown(server *http.Server, s streams) error {
	ctx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		select {
		case <-d.done:
		case <-ctx.Done():
		}
		ctx, cancel := context.WithTimeout(ctx, d.c.flush)
		defer cancel()
		var streams sync.WaitGroup
		var hubErr error
		// Streams are requests to the server: it waits for them, and they end when the hub does.
		streams.Go(func() { hubErr = d.hub.Shutdown(ctx) })
		err := server.Shutdown(ctx)
		streams.Wait()
		done <- errors.Join(hubErr, err)
	}()
	select {
	case err := <-done:
		if errors.Is(err, context.DeadlineExceeded) {
			fmt.Fprintln(s.err, "spate: some connections did not take what waited for them in time; they resume when they reconnect")
			_ = server.Close()
			return nil
		}
		return err
	case sig := <-s.signals:
		_ = server.Close()
		return fmt.Errorf("ended by a second signal (%v) while draining", sig)
	}
}

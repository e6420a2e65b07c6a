package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// roamer is a client that moves.
type roamer struct {
	r     *run
	rng   *rand.Rand
	query string
	wants map[string]bool // audiences
	last  uint64
	ids   []uint64 // of the events that it has, rising
	gaps  []engine.Gap
}

func newRoamer(r *run, i int, start uint64) *roamer {
	c := &roamer{r: r, rng: r.rng(1000 + i), last: start, wants: map[string]bool{"all": true}}
	user := fmt.Sprint("u", i%users)
	c.wants[user] = true
	c.query = "uid=" + user
	for t := range topics {
		if i>>t&1 == 1 {
			topic := fmt.Sprint("t", t)
			c.wants[topic] = true
			c.query += "&topic=" + topic
		}
	}
	return c
}

func (c *roamer) done() bool { last := c.r.last.Load(); return last != 0 && c.last >= last }

// patience bounds how long a client has nothing to come, and is not done.
const patience = 3 * time.Minute

func (c *roamer) roam() {
	for was, since := c.last, time.Now(); !c.done(); {
		ctx, cancel := context.WithTimeout(context.Background(), c.r.stay/15+rand.N(c.r.stay))
		c.read(ctx)
		cancel()
		if c.last != was {
			was, since = c.last, time.Now()
		} else if c.r.last.Load() != 0 && time.Since(since) > patience {
			c.r.p.Error("a client gets nothing more after", c.last)
			return
		}
	}
}

var errDone = errors.New("done")

func (c *roamer) read(ctx context.Context) {
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, c.r.url(c.rng)+"/events?"+c.query, nil)
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
	var parser wire.Parser
	for buf := make([]byte, 16<<10); ; {
		n, err := resp.Body.Read(buf)
		if parser.Feed(buf[:n], c.take) != nil || err != nil || c.done() {
			return
		}
	}
}

// take takes one event.
func (c *roamer) take(e wire.RawEvent) error {
	switch string(e.Event) {
	case engine.GapEvent:
		var g engine.Gap
		if err := json.Unmarshal(e.Data, &g); err != nil {
			c.r.p.Error("a gap that can't be read:", string(e.Data))
		}
		if n := len(c.gaps); n == 0 || c.gaps[n-1] != g {
			c.gaps = append(c.gaps, g)
		}
	case "run":
		id, err := wire.ParseID(string(e.ID))
		if err != nil || !e.HasID || id <= c.last {
			c.r.p.Error("an event that was there already, or is late:", string(e.ID), string(e.Data), "after", c.last)
		}
		if i := bytes.LastIndexByte(e.Data, ' '); !c.wants[string(e.Data[i+1:])] && !bytes.HasPrefix(e.Data, []byte("the ")) {
			c.r.p.Error("an event for somebody else:", string(e.ID), string(e.Data), "at", c.query)
		}
		c.last = id
		c.ids = append(c.ids, id)
		c.r.see(id, e.Data)
		if n := c.r.got.Add(1); n == c.r.deliveries && c.r.enough != nil {
			c.r.enough()
		}
	}
	if c.done() {
		return errDone
	}
	return nil
}

// see notes what an ID stands for, which is the same for all.
func (r *run) see(id uint64, data []byte) {
	if was, same := r.ledger.see(id, data); !same {
		r.p.Error("ID", id, "is", was, "and", string(data))
	}
}

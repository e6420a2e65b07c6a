package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Peers knows the other nodes of a cluster, and asks them. What it does is by word of
// mouth: a node that is cut off is not heard, and is named. Nothing here touches the
// stream, or what is promised of it.
type Peers struct {
	bus    Bus
	own    func() State
	answer Answerer
	logger *slog.Logger
	id     string // of this life

	stop    func() // of the listening
	end     context.CancelFunc
	ctx     context.Context
	running sync.WaitGroup
	busy    chan struct{} // room for questions of others

	mu    sync.Mutex
	ended bool
	known map[string]Peer // by ID
}

// State is what a node tells of itself.
type State struct {
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Position uint64    `json:"position,string"`
	Ready    bool      `json:"ready"`
	Reason   string    `json:"reason,omitempty"` // why it is not
	Clients  int       `json:"clients"`          // connections
}

// Peer is another node, as it was heard last.
type Peer struct {
	ID string // of its life
	State
	Heard time.Time
}

// Answerer answers a question of another node. ctx bounds it. It is called by many
// goroutines.
type Answerer func(ctx context.Context, question string, body json.RawMessage) (any, error)

// Answer is what one node says to a question.
type Answer struct {
	Peer Peer
	Body json.RawMessage
	Err  error // ErrNoAnswer, or what the node says is wrong
}

// ErrNoAnswer: a node that was heard of in the last minute did not answer in time.
var ErrNoAnswer = errors.New("cluster: no answer")

const (
	helloEvery  = 2 * time.Second
	silentAfter = 3 * helloEvery // who is not heard for so long is asked, and not waited for
	forgetAfter = time.Minute
	maxPeers    = 1000
	maxAnswers  = 64 // questions that are answered at one time
	askTime     = 2 * time.Second
	maxStateLen = 1024 // bytes of a text in a State
)

// word is a message between nodes. What of a later version is not known is passed over.
type word struct {
	From     string          `json:"from"`
	State    State           `json:"state"`
	Bye      bool            `json:"bye,omitempty"`
	Question string          `json:"question,omitempty"`
	Body     json.RawMessage `json:"body,omitempty"`
	Err      string          `json:"error,omitempty"` // of an answer
}

// NewPeers begins to listen and to tell others of this node, until Close. own is asked
// for what is told; answer may be nil.
func NewPeers(bus Bus, own func() State, answer Answerer, logger *slog.Logger) (*Peers, error) {
	p := &Peers{bus: bus, own: own, answer: answer, logger: cmp.Or(logger, slog.Default()), id: rand.Text(), known: map[string]Peer{}, busy: make(chan struct{}, maxAnswers)}
	p.ctx, p.end = context.WithCancel(context.Background())
	stop, err := bus.Listen(p.listen)
	if err != nil {
		p.end()
		return nil, err
	}
	p.stop = stop
	p.running.Go(p.run)
	return p, nil
}

// Close tells the others that the node ends, and waits for what is under way.
func (p *Peers) Close() {
	p.stop()
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.end()
	p.running.Wait()
	_ = p.send(word{Bye: true}) // else they find out
}

// run tells of this node, and learns at first who is there.
func (p *Peers) run() {
	p.ask(p.ctx, "", nil, true)
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-time.After(jitter(helloEvery)):
		}
		if err := p.send(word{}); err != nil {
			p.logger.Debug("cluster: the others are not told", "err", err)
		}
	}
}

func (p *Peers) send(w word) error {
	data, err := p.encode(w)
	if err != nil {
		return err
	}
	return p.bus.Send(data)
}

func (p *Peers) encode(w word) ([]byte, error) {
	w.From, w.State = p.id, p.own()
	return json.Marshal(w)
}

// hear notes who says something; false: it is this node, or nobody.
func (p *Peers) hear(data []byte) (w word, other bool) {
	if err := json.Unmarshal(data, &w); err != nil || w.From == "" || len(w.From) > maxStateLen || len(w.State.Name)+len(w.State.Version)+len(w.State.Reason) > maxStateLen {
		p.logger.Warn("cluster: a message that is none of a node is passed over", "bytes", len(data))
		return w, false
	}
	if w.From == p.id {
		return w, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, is := p.known[w.From]; !is && len(p.known) >= maxPeers {
		p.forget()
		if len(p.known) >= maxPeers {
			return w, false
		}
	}
	if w.Bye {
		delete(p.known, w.From)
		return w, false
	}
	p.known[w.From] = Peer{ID: w.From, State: w.State, Heard: time.Now()}
	return w, true
}

// forget strikes off those that were not heard for long. The lock is held.
func (p *Peers) forget() {
	maps.DeleteFunc(p.known, func(_ string, one Peer) bool { return time.Since(one.Heard) > forgetAfter })
}

// List returns the other nodes, by name: all that were heard in the last minute and did
// not say that they end.
func (p *Peers) List() []Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget()
	return slices.SortedFunc(maps.Values(p.known), byName)
}

func byName(a, b Peer) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) }

// Silent says whether a node is not heard any more.
func (one *Peer) Silent() bool { return time.Since(one.Heard) > silentAfter }

// ID is that of this node's life.
func (p *Peers) ID() string { return p.id }

// heard is when a node was heard last; false: not in the last minute, or it has ended.
func (p *Peers) heard(id string) (last time.Time, is bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, is := p.known[id]
	return one.Heard, is
}

// Self returns what this node tells of itself.
func (p *Peers) Self() Peer { return Peer{ID: p.id, State: p.own(), Heard: time.Now()} }

// Ask puts a question to all other nodes, and returns what each says, by name: one
// that was heard of in the last minute and does not answer in two seconds, or until ctx
// ends, has ErrNoAnswer. Those that are silent already are not waited for. body is
// written as JSON. The question "" asks for nothing but the state.
func (p *Peers) Ask(ctx context.Context, question string, body any) []Answer {
	return p.ask(ctx, question, body, false)
}

// ask is Ask; first says that nobody is known yet, and whoever answers soon is.
func (p *Peers) ask(ctx context.Context, question string, body any, first bool) []Answer {
	most := askTime
	if first {
		most /= 4
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	awaited := map[string]bool{}
	all := map[string]Answer{}
	for _, one := range p.List() {
		all[one.ID] = Answer{Peer: one, Err: ErrNoAnswer}
		if !one.Silent() {
			awaited[one.ID] = true
		}
	}
	text, err := json.Marshal(body)
	var data []byte
	if err == nil {
		data, err = p.encode(word{Question: question, Body: text})
	}
	if err == nil && (len(all) > 0 || first) {
		err = p.bus.Ask(ctx, data, func(answer []byte) bool {
			w, other := p.hear(answer)
			if !other {
				return true
			}
			a := Answer{Peer: Peer{ID: w.From, State: w.State, Heard: time.Now()}, Body: w.Body}
			if w.Err != "" {
				a.Err = errors.New(w.Err)
			}
			all[w.From] = a
			delete(awaited, w.From)
			return len(awaited) > 0 || first
		})
	}
	if err != nil {
		for id, a := range all {
			a.Err = fmt.Errorf("%w: %w", ErrNoAnswer, err)
			all[id] = a
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Answer) int { return byName(a.Peer, b.Peer) })
}

// errBusy is told by a node that has as many questions to answer as it takes.
var errBusy = errors.New("it has too many questions to answer at present")

// listen takes what others say.
func (p *Peers) listen(data []byte, answer func([]byte) error) {
	w, other := p.hear(data)
	if !other || answer == nil {
		return
	}
	if w.Question == "" {
		p.reply(answer, nil, nil)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	select {
	case p.busy <- struct{}{}:
	default:
		p.running.Go(func() { p.reply(answer, nil, errBusy) })
		return
	}
	p.running.Go(func() {
		defer func() { <-p.busy }()
		ctx, cancel := context.WithTimeout(p.ctx, askTime)
		defer cancel()
		if p.answer == nil {
			p.reply(answer, nil, fmt.Errorf("%q is no question that this hub answers", w.Question))
			return
		}
		body, err := p.answer(ctx, w.Question, w.Body)
		p.reply(answer, body, err)
	})
}

// reply answers a question; an error is told in the place of body.
func (p *Peers) reply(answer func([]byte) error, body any, err error) {
	var w word
	if err == nil {
		w.Body, err = json.Marshal(body)
	}
	if err != nil {
		w.Body, w.Err = nil, err.Error()
	}
	data, err := p.encode(w)
	if err == nil {
		err = answer(data)
	}
	if err != nil {
		p.logger.Debug("cluster: a question is not answered", "err", err)
	}
}

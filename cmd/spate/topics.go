package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// topicsReply is the answer to GET /topics.
type topicsReply struct {
	Topics []topicReply `json:"topics"`           // by name
	Next   string       `json:"next,omitempty"`   // to be asked for as cursor
	Others *topicReply  `json:"others,omitempty"` // all topics without figures of their own, on the first page
}

type topicReply struct {
	Topic       string       `json:"topic"`
	Events      uint64       `json:"events"`
	Bytes       uint64       `json:"bytes"`
	Rate        float64      `json:"rate"`                  // events a second
	Subscribers *int         `json:"subscribers,omitempty"` // connections that follow it
	Kept        *keptReply   `json:"kept,omitempty"`        // in the log, where there is one
	Retention   *boundsStats `json:"retention,omitempty"`   // its own, where it has one
}

// keptReply is what the log keeps of a topic.
type keptReply struct {
	Events  int        `json:"events"`
	AtLeast bool       `json:"at_least,omitempty"` // there may be more: so many were counted
	First   string     `json:"first,omitempty"`    // the ID of the oldest
	Since   *time.Time `json:"since,omitempty"`    // when that was pushed
}

func keptOf(k engine.Kept) *keptReply {
	reply := &keptReply{Events: k.Records, AtLeast: k.More}
	if k.First != 0 {
		since := k.Since.UTC()
		reply.First, reply.Since = wire.FormatID(k.First), &since
	}
	return reply
}

// topicRates knows how many events the topics had a while ago.
type topicRates struct {
	hub *engine.Hub

	mu           sync.Mutex
	older, newer topicCounts
}

type topicCounts struct {
	at     time.Time
	events map[string]uint64
}

func newTopicRates(hub *engine.Hub) *topicRates {
	t := &topicRates{hub: hub}
	t.look(time.Now())
	return t
}

// look notes the counts of now. It is called some seconds apart.
func (t *topicRates) look(now time.Time) {
	counts := topicCounts{now, map[string]uint64{}}
	for _, f := range t.hub.TopicFigures() {
		counts.events[f.Topic] = f.Events
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.older, t.newer = t.newer, counts
}

// base is the counts that rates are told against: the older ones, which are never of just now.
func (t *topicRates) base() topicCounts {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.older.events == nil {
		return t.newer
	}
	return t.older
}

// formerTopics are the topics of which the log had events when the hub began. The log is asked once, beside everything else:
// whatever is pushed to later has figures.
type formerTopics struct {
	names atomic.Pointer[[]string]
}

func (f *formerTopics) load(ctx context.Context, hub *engine.Hub, log *slog.Logger) {
	names, more, err := hub.KeptTopics(ctx, countedTopics)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		log.Warn("the topics of before are not listed: the log cannot be read", "err", err)
		return
	case more:
		log.Info("not all topics of before are listed: there are too many", "listed", len(names))
	}
	f.names.Store(&names)
}

// each calls fn for the topics, none where they are not known yet.
func (f *formerTopics) each(fn func(topic string)) {
	if names := f.names.Load(); names != nil {
		for _, name := range *names {
			fn(name)
		}
	}
}

// topicsRoute answers GET /topics.
type topicsRoute struct {
	hub    *engine.Hub
	rates  *topicRates
	former *formerTopics
	query  []string // parameters that the authorizer reads
}

// Pages of topics.
const (
	defaultTopics  = 100
	maxTopics      = 1000
	topicsPatience = 10 * time.Second
)

func (t *topicsRoute) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply, err := t.page(r)
	if err != nil {
		stream.WriteError(w, err)
		return
	}
	writeCompact(w, reply)
}

func (t *topicsRoute) page(r *http.Request) (*topicsReply, *stream.Error) {
	q, err := stream.ParseRouteQuery(r, slices.Concat([]string{"match", "cursor", "limit"}, t.query), nil)
	if err != nil {
		return nil, stream.AuthorizerError(err)
	}
	limit := defaultTopics
	if q.Has("limit") {
		if limit, err = strconv.Atoi(q.Get("limit")); err != nil || limit < 1 || limit > maxTopics {
			return nil, &stream.Error{Status: http.StatusBadRequest, Field: "limit", Message: "must be a number from 1 to " + strconv.Itoa(maxTopics)}
		}
	}
	var match wire.Pattern
	if q.Has("match") {
		if match, err = wire.ParsePattern(q.Get("match")); err != nil {
			var field *wire.FieldError
			if errors.As(err, &field) {
				err = errors.New(field.Reason)
			}
			return nil, &stream.Error{Status: http.StatusBadRequest, Field: "match", Message: err.Error()}
		}
	}
	now, base := time.Now(), t.rates.base()
	figures, others := t.after(q.Get("cursor"), match)
	reply := &topicsReply{Topics: []topicReply{}}
	tell := func(f engine.TopicFigures) topicReply {
		return topicReply{Topic: f.Topic, Events: f.Events, Bytes: f.Bytes, Rate: base.rate(f, now)}
	}
	if others.Events > 0 && q.Get("cursor") == "" && q.Get("match") == "" {
		rest := tell(others)
		reply.Others = &rest
	}
	if len(figures) > limit {
		figures = figures[:limit]
		reply.Next = figures[limit-1].Topic
	}
	for _, f := range figures {
		reply.Topics = append(reply.Topics, tell(f))
	}
	if refusal := t.fill(r.Context(), reply.Topics); refusal != nil {
		return nil, refusal
	}
	reply.Topics = slices.DeleteFunc(reply.Topics, topicReply.gone)
	return reply, nil
}

// gone says whether nothing is left of a topic of before.
func (t topicReply) gone() bool {
	return t.Events == 0 && (t.Kept == nil || t.Kept.Events == 0 && !t.Kept.AtLeast)
}

// after returns the figures of topics that come after one, by name, those of before among them, and the figures of all topics
// that have none.
func (t *topicsRoute) after(cursor string, match wire.Pattern) (named []engine.TopicFigures, others engine.TopicFigures) {
	counted := map[string]bool{}
	add := func(f engine.TopicFigures) {
		if f.Topic > cursor && (match.String() == "" || match.Match(f.Topic)) {
			named = append(named, f)
		}
	}
	for _, f := range t.hub.TopicFigures() {
		if f.Topic == "" {
			others = f
			continue
		}
		counted[f.Topic] = true
		add(f)
	}
	t.former.each(func(topic string) {
		if !counted[topic] {
			add(engine.TopicFigures{Topic: topic})
		}
	})
	slices.SortFunc(named, func(a, b engine.TopicFigures) int { return cmp.Compare(a.Topic, b.Topic) })
	return named, others
}

// rate is how many events a second a topic has had since.
func (c topicCounts) rate(f engine.TopicFigures, now time.Time) float64 {
	seconds := now.Sub(c.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(f.Events-min(c.events[f.Topic], f.Events)) / seconds
}

// fill says who follows the topics, how long they are kept, and what is there of them.
func (t *topicsRoute) fill(ctx context.Context, topics []topicReply) *stream.Error {
	ctx, cancel := context.WithTimeout(ctx, topicsPatience)
	defer cancel()
	names := make([]string, len(topics))
	for i := range topics {
		names[i] = topics[i].Topic
	}
	counts, err := t.hub.Entitled(ctx, nil, names)
	if err != nil {
		return &stream.Error{Status: http.StatusServiceUnavailable, Message: strings.TrimPrefix(err.Error(), "spate: ")}
	}
	kept, counted, err := t.hub.Kept(ctx, names)
	if err != nil {
		return &stream.Error{Status: http.StatusServiceUnavailable, Message: "the log can't be read: " + err.Error()}
	}
	log, logged := t.hub.LogStats()
	for i := range topics {
		topics[i].Subscribers = &counts[i]
		if counted {
			topics[i].Kept = keptOf(kept[i])
		}
		if bounds, own := log.Retention.ForTopic(topics[i].Topic); logged && own {
			retention := boundsOf(bounds)
			topics[i].Retention = &retention
		}
	}
	return nil
}

package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve"
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
	Kept        *boundsStats `json:"kept,omitempty"`        // its own retention, where it has one
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

// topicsRoute answers GET /topics.
type topicsRoute struct {
	hub   *engine.Hub
	rates *topicRates
	query []string // parameters that the authorizer reads
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
		serve.WriteError(w, err)
		return
	}
	writeCompact(w, reply)
}

func (t *topicsRoute) page(r *http.Request) (*topicsReply, *serve.Error) {
	q, err := stream.ParseRouteQuery(r, slices.Concat([]string{"match", "cursor", "limit"}, t.query), nil)
	if err != nil {
		return nil, stream.AuthorizerError(err)
	}
	limit := defaultTopics
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxTopics {
			return nil, &serve.Error{Status: http.StatusBadRequest, Field: "limit", Message: "must be a number from 1 to " + strconv.Itoa(maxTopics)}
		}
	}
	var match wire.Pattern
	if text := q.Get("match"); text != "" {
		if match, err = wire.ParsePattern(text); err != nil {
			var field *wire.FieldError
			if errors.As(err, &field) {
				err = errors.New(field.Reason)
			}
			return nil, &serve.Error{Status: http.StatusBadRequest, Field: "match", Message: err.Error()}
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
	return reply, t.fill(r.Context(), reply.Topics)
}

// after returns the figures of topics that come after one, by name, and those of all topics that have none.
func (t *topicsRoute) after(cursor string, match wire.Pattern) (named []engine.TopicFigures, others engine.TopicFigures) {
	for _, f := range t.hub.TopicFigures() {
		switch {
		case f.Topic == "":
			others = f
		case f.Topic > cursor && (match.String() == "" || match.Match(f.Topic)):
			named = append(named, f)
		}
	}
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

// fill says who follows the topics, and how long they are kept.
func (t *topicsRoute) fill(ctx context.Context, topics []topicReply) *serve.Error {
	ctx, cancel := context.WithTimeout(ctx, topicsPatience)
	defer cancel()
	names := make([]string, len(topics))
	for i := range topics {
		names[i] = topics[i].Topic
	}
	counts, err := t.hub.Entitled(ctx, nil, names)
	if err != nil {
		return &serve.Error{Status: http.StatusServiceUnavailable, Message: strings.TrimPrefix(err.Error(), "spate: ")}
	}
	log, logged := t.hub.LogStats()
	for i := range topics {
		topics[i].Subscribers = &counts[i]
		if bounds, own := log.Retention.ForTopic(topics[i].Topic); logged && own {
			kept := boundsOf(bounds)
			topics[i].Kept = &kept
		}
	}
	return nil
}

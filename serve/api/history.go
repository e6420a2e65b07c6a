package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// historyReply is a page of what a stream would have sent.
type historyReply struct {
	Events []historyEvent `json:"events"`
	Next   string         `json:"next"` // to be asked for as after
	More   bool           `json:"more"`
	Gap    *engine.Gap    `json:"gap,omitempty"` // before the events
}

type historyEvent struct {
	ID    string    `json:"id"`
	Time  time.Time `json:"time"`
	Event string    `json:"event,omitempty"`
	Topic string    `json:"topic,omitempty"`
	Key   string    `json:"key,omitempty"`
	Data  any       `json:"data"`

	// For an operator: whom it was pushed to, where that is not everyone, and how many more
	// there are than are named.
	Users     []string `json:"users,omitempty"`
	UsersMore int      `json:"users_more,omitempty"`
}

// maxTold is how many of an event's users are named.
const maxTold = 100

// tellUsers names the users that an event was pushed to, first the one for whom history was asked.
func (e *historyEvent) tellUsers(users []string, asked string) {
	if i := slices.Index(users, asked); i > 0 {
		users = slices.Concat(users[i:i+1], users[:i], users[i+1:])
	}
	e.Users = users[:min(len(users), maxTold)]
	e.UsersMore = len(users) - len(e.Users)
}

const (
	defaultPage = 100
	maxPage     = 1000
	maxTopics   = 1000 // as a stream may follow
)

// history answers with what a stream of the same user and topics would get from the
// log after an ID.
func (a *API) history(c call) (answer, error) {
	q, err := c.params([]string{"uid", "after", "since", "limit"}, []string{"topic"})
	if err != nil {
		return answer{}, err
	}
	sub := engine.Subscription{UID: c.grant.User, Topics: q["topic"], LastEventID: q.Get("after")}
	if uid := q.Get("uid"); uid != "" && uid != sub.UID {
		if !c.grant.Admin {
			return answer{}, &stream.Error{Status: http.StatusForbidden, Field: "uid", Message: "is not who the credentials are for"}
		}
		sub.UID = uid
	}
	limit, err := number(q, "limit", defaultPage, maxPage)
	if err != nil {
		return answer{}, err
	}
	if err := beginsAt(&sub, q, time.Now()); err != nil {
		return answer{}, err
	}
	if !sub.Since.IsZero() {
		// the log says where that is
	} else if sub.LastEventID == "" {
		sub.LastEventID = engine.Earliest
	} else if _, err := wire.ParseID(sub.LastEventID); err != nil && sub.LastEventID != engine.Earliest {
		return answer{}, &stream.Error{Status: http.StatusBadRequest, Field: "after", Message: "is no event ID"}
	}
	if err := mayRead(&c, sub.Topics); err != nil {
		return answer{}, err
	}
	if a.Source != nil {
		sub.Source = a.Source(c.Request)
	}
	seat, err := a.Hub.Seat(c.Context(), sub)
	if err != nil {
		return answer{}, err
	}
	page, err := seat.History(c.Context(), limit)
	if err != nil {
		return answer{}, err
	}
	reply := historyReply{Events: make([]historyEvent, len(page.Events)), Next: wire.FormatID(page.Next), More: page.More}
	for i, e := range page.Events {
		reply.Events[i] = historyEvent{ID: e.Event.ID, Time: e.Time.UTC(), Event: e.Event.Event, Topic: e.Event.Topic, Key: e.Event.Key, Data: e.Event.Data}
		if c.grant.Admin {
			reply.Events[i].tellUsers(e.Users, sub.UID)
		}
	}
	if page.Lost {
		reply.Gap = &page.Gap
	}
	return ok(reply), nil
}

// mayRead checks the topics and patterns that are asked for.
func mayRead(c *call, topics []string) error {
	most := maxTopics
	if n := c.grant.Limits.Topics; n > 0 {
		most = min(most, n)
	}
	if len(topics) > most {
		return &stream.Error{Status: http.StatusBadRequest, Field: "topic", Message: fmt.Sprintf("is given %d times, more than the %d that may be asked for", len(topics), most)}
	}
	patterns, refusal := stream.ParseTopics(topics)
	if refusal != nil {
		return refusal
	}
	return c.grant.CheckRead(patterns)
}

package stream

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spatehub/spate/wire"
)

// Authorizer says what a request may do, or why it may do nothing: an [*Error]
// chooses the answer (401 without a good credential, 403 with one), any other
// error is a bare 403. It is called by many goroutines at once, once for each
// request: a stream keeps the grant that it began with until that expires or is
// revoked.
type Authorizer = func(*http.Request) (Grant, error)

// Grant is what a caller may do. The zero value is an anonymous connection that
// gets the events without topic, and may push nothing.
//
// It is plain data. Whoever makes a Grant lets go of its slices: they are read by
// many goroutines later on.
type Grant struct {
	// ID is the grant's opaque name, by which it can be revoked; "" has none.
	ID string

	// User is who the caller is; "" is anonymous. A user gets the events pushed to
	// it, of the topics that it follows or without one.
	User string

	// Read are the topics that may be followed. A pattern that is asked for has to
	// lie within one of these.
	Read []wire.Pattern

	// Push is what may be published.
	Push PushRights

	// Admin is the right to what concerns the hub and all who use it: figures,
	// connections, its end. The handlers of this package have no use for it.
	Admin bool

	// Issued is when it was given; the zero time is not known. Revoking all grants
	// of a user leaves those that are given afterwards.
	Issued time.Time

	// Expires is when the grant ends, and with it the streams that it allowed. The
	// zero time is never.
	Expires time.Time

	// Limits bound the user beside the server's own limits.
	Limits Limits
}

// PushRights says to whom one may push. What an event names has to be granted,
// all of it: one for a user and a topic needs both rights. The zero value has none.
type PushRights struct {
	Topics   []wire.Pattern // topics that an event may have
	Users    []string       // users that an event may be for
	AnyUser  bool           // any user, whatever Users says
	Everyone bool           // events with neither users nor topic, which reach every connection
}

// Limits bound what one user does at a time; 0 leaves each to the server's
// setting. Where several grants of a user are in use, each request goes by its own.
// All but Topics is held by a [Gate]: a handler without one refuses such grants.
type Limits struct {
	Connections int     // streams at one time
	Topics      int     // topics and patterns of a stream
	PushEvents  float64 // events a second, over time
	PushBytes   float64 // bytes of push requests a second, over time
}

// needGate reports whether it takes a [Gate] to hold the limits.
func (l *Limits) needGate() bool { return l.Connections > 0 || l.PushEvents > 0 || l.PushBytes > 0 }

// FullGrant allows user everything, without limit or end.
func FullGrant(user string) Grant {
	return Grant{User: user, Read: everyTopic, Push: PushRights{Topics: everyTopic, AnyUser: true, Everyone: true}, Admin: true}
}

var everyTopic = []wire.Pattern{mustPattern(">")}

func mustPattern(s string) wire.Pattern {
	p, err := wire.ParsePattern(s)
	if err != nil {
		panic(err)
	}
	return p
}

// ExpiredAt reports whether the grant has ended at the given time.
func (g *Grant) ExpiredAt(now time.Time) bool {
	return !g.Expires.IsZero() && !now.Before(g.Expires)
}

// ownNames makes the grant's names parts of a text of their own, the user's first: they
// may be parts of something large, such as a token, and a stream keeps them.
func (g *Grant) ownNames() (names string) {
	var b strings.Builder
	b.Grow(len(g.User) + len(g.ID))
	b.WriteString(g.User)
	b.WriteString(g.ID)
	names = b.String()
	g.User, g.ID = names[:len(g.User)], names[len(g.User):]
	return names
}

// CheckRead returns nil if all that is asked may be followed, else an [*Error]
// with status 403 about "topic" that names the first that may not.
func (g *Grant) CheckRead(asked []wire.Pattern) error {
	for _, p := range asked {
		if !within(g.Read, p) {
			return forbidden(topicQuery, fmt.Sprintf("%q may not be read", shortName(p.String())))
		}
	}
	return nil
}

// within reports whether one of granted has all topics of p.
func within(granted []wire.Pattern, p wire.Pattern) bool {
	for _, g := range granted {
		if g.Contains(p) {
			return true
		}
	}
	return false
}

// CheckPush returns nil if events may be published to uids, nil being everyone,
// else an [*Error] with status 403 that names the first user or topic that may
// not be pushed to. An empty list of users, which is no audience, is left to the
// hub to refuse.
func (g *Grant) CheckPush(uids []string, events []*wire.Event) error {
	if err := g.checkUsers(uids); err != nil {
		return err
	}
	last := "" // topics come in runs
	for i, e := range events {
		switch {
		case e == nil: // the hub names it
		case e.Topic == "" && uids == nil && !g.Push.Everyone:
			return forbidden(fmt.Sprintf("events[%d]", i), "has neither users nor a topic, and may not be pushed to everyone")
		case e.Topic == "" || e.Topic == last:
		case !anyMatch(g.Push.Topics, e.Topic):
			return forbidden(fmt.Sprintf("events[%d].topic", i), fmt.Sprintf("%q may not be pushed to", e.Topic))
		default:
			last = e.Topic
		}
	}
	return nil
}

// checkUsers is CheckPush for the users. It costs the sum of both lists, not
// their product.
func (g *Grant) checkUsers(uids []string) error {
	if g.Push.AnyUser || len(uids) == 0 {
		return nil
	}
	may := make(map[string]struct{}, len(g.Push.Users))
	for _, u := range g.Push.Users {
		may[u] = struct{}{}
	}
	for i, uid := range uids {
		if _, ok := may[uid]; !ok {
			return forbidden(fmt.Sprintf("uids[%d]", i), fmt.Sprintf("%q may not be pushed to", uid))
		}
	}
	return nil
}

func anyMatch(patterns []wire.Pattern, topic string) bool {
	for _, p := range patterns {
		if p.Match(topic) {
			return true
		}
	}
	return false
}

// forbidden is the answer to what goes beyond a grant.
func forbidden(field, message string) *Error {
	return &Error{Status: http.StatusForbidden, Message: message, Field: field}
}

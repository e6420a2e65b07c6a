// Package audience is the rule of who gets which event: the one that live delivery
// and resend, the ring and the logs go by. What finds receivers by an index gives
// the same answers; tests see to it.
package audience

// Event says whom an event is for.
type Event struct {
	Users Users  // nil is everyone
	Topic string // only those who follow it; "" is no such restriction
}

// Users are the users that an event names.
type Users interface {
	// Has says whether a user is one of them. It is never asked about "".
	Has(uid string) bool
}

// List is Users by name, in any order.
type List []string

// Has implements Users.
func (l *List) Has(uid string) bool {
	for _, name := range *l {
		if name == uid {
			return true
		}
	}
	return false
}

// Wish says what a connection wants and may have. It is a snapshot: what changes is
// another Wish, and whoever holds this one goes on by it to the end of what it is
// at.
type Wish struct {
	User   string // "" is nobody: events that name users are for others
	Topics Topics // nil: it follows none

	// OnlyTopics leaves out what is for everybody: no user named, no topic.
	OnlyTopics bool
}

// Topics are the topics that a connection follows, be they listed or described.
type Topics interface {
	// Follows says whether a topic is one of them. It is never asked about "".
	Follows(topic string) bool
}

// Admits is the rule.
func (w Wish) Admits(e Event) bool {
	if e.Users != nil && (w.User == "" || !e.Users.Has(w.User)) {
		return false
	}
	return w.Takes(e.Topic, e.Users != nil)
}

// Takes is the half of the rule about what the event is, for a connection whose
// user is named, or where none is.
func (w Wish) Takes(topic string, named bool) bool {
	if topic != "" {
		return w.Topics != nil && w.Topics.Follows(topic)
	}
	return named || !w.OnlyTopics
}

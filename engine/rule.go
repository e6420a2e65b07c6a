package engine

import (
	"github.com/spatehub/spate/internal/audience"
	"github.com/spatehub/spate/persist"
)

// This file lends the rule of audience its two sides. An index that finds clients
// faster than by asking each (a shard's books, the log's) must agree with it;
// TestOneRuleOfAudience compares all of them.

// whom is whom the event is for.
func (e *entry) whom() audience.Event {
	ev := audience.Event{Topic: e.topic}
	if e.private {
		ev.Users = e
	}
	return ev
}

// Has implements audience.Users for a private entry.
func (e *entry) Has(uid string) bool {
	if e.crowd == nil {
		return e.one[0] == uid
	}
	return e.crowd.has(uid)
}

// whomOf is whom a record is for.
func whomOf(r *persist.Record) audience.Event {
	ev := audience.Event{Topic: r.Topic}
	if r.Users != nil {
		ev.Users = (*audience.List)(&r.Users)
	}
	return ev
}

// wish is what the client wants now. The shard may change it between batches.
func (c *client) wish() audience.Wish {
	return audience.Wish{User: c.uid, Topics: c, OnlyTopics: c.only}
}

// wants is the rule for ring entries.
func (c *client) wants(e *entry) bool { return c.wish().Admits(e.whom()) }

// publicQuery selects the records of the log that are for the client whoever its
// user is; ok is false where none are.
func (c *client) publicQuery(topics []string) (q persist.Query, ok bool) {
	q = persist.Query{Public: !c.only, Topics: topics}
	return q, q.Public || len(topics) > 0
}

// sameAudience says whether two events are for the same receivers. Of several users it
// believes only one list, that of one push.
func sameAudience(a, b *entry) bool {
	return a.topic == b.topic && a.private == b.private && a.one[0] == b.one[0] && a.crowd == b.crowd
}

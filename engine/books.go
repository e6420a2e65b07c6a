package engine

import (
	"github.com/spatehub/spate/engine/internal/names"
	"github.com/spatehub/spate/engine/internal/topics"
)

// books say who is connected to a shard and receives events, by each way that an
// event may take to its receivers: to all of them, by user, by topic. A rule of
// audience decides who gets it; see rule.go.
type books struct {
	clients []*client
	users   names.Table[*client] // the newest connection of each user
	topics  topics.Index[*client]
	only    int // clients that want nothing that is for everybody
	patient int // clients that are patient

	sets []*topics.Set[*client] // what following returned last
}

// enter adds a client.
func (b *books) enter(c *client) {
	c.index = int32(len(b.clients))
	b.clients = append(b.clients, c)
	if c.only {
		b.only++
	}
	if c.patient {
		b.patient++
	}
	if c.uid != "" {
		b.enterUser(c)
	}
	for i := range c.topics {
		ref := &c.topics[i]
		ref.pattern = b.topics.Add(ref.pattern, c, int32(i))
	}
}

// strike takes out a client that was entered.
func (b *books) strike(c *client) {
	if c.uid != "" {
		b.strikeUser(c)
	}
	last := b.clients[len(b.clients)-1]
	b.clients[c.index] = last
	last.index = c.index
	b.relate(last)
	b.clients[len(b.clients)-1] = nil
	b.clients = shrink(b.clients[:len(b.clients)-1])
	if c.only {
		b.only--
	}
	if c.patient {
		b.patient--
	}
	for i := range c.topics {
		b.topics.Remove(c, int32(i))
	}
}

// older returns the connection of the same user that came before; nil where it is the
// first.
func (b *books) older(c *client) *client {
	if c.kin.older == 0 {
		return nil
	}
	return b.clients[c.kin.older-1]
}

func (b *books) enterUser(c *client) {
	c.kin = kin{}
	if newest := b.users.Get(c.uid); newest != nil {
		c.kin.older, newest.kin.newer = newest.index+1, c.index+1
	}
	b.users.Put(c)
}

func (b *books) strikeUser(c *client) {
	older := b.older(c)
	if older != nil {
		older.kin.newer = c.kin.newer
	}
	switch {
	case c.kin.newer != 0:
		b.clients[c.kin.newer-1].kin.older = c.kin.older
	case older != nil:
		b.users.Put(older)
	default:
		b.users.Drop(c.uid)
	}
	c.kin = kin{}
}

// relate tells those of the client's user where it is, as it has moved.
func (b *books) relate(c *client) {
	if older := b.older(c); older != nil {
		older.kin.newer = c.index + 1
	}
	if c.kin.newer != 0 {
		b.clients[c.kin.newer-1].kin.older = c.index + 1
	}
}

// takesPublic says whether anybody wants what is for everybody.
func (b *books) takesPublic() bool { return len(b.clients) > b.only }

// takesTopic says whether anybody follows the topic, by itself or by a pattern.
func (b *books) takesTopic(name string) bool { return b.topics.Has(name) }

// following returns those who follow the topic, in sets that may overlap. It is
// valid until the next call; who is done with it clears it.
func (b *books) following(name string) []*topics.Set[*client] {
	b.sets = b.topics.AppendSets(b.sets[:0], name)
	return b.sets
}

// shrink gives memory back once three quarters of a large list are unused.
func shrink(list []*client) []*client {
	if cap(list) < 1024 || len(list) > cap(list)/4 {
		return list
	}
	return append(make([]*client, 0, 2*len(list)), list...)
}

package engine

import "github.com/spatehub/spate/engine/internal/topics"

// books say who is connected to a shard and receives events, by each way that an
// event may take to its receivers: to all of them, by user, by topic. A rule of
// audience decides who gets it; see rule.go.
type books struct {
	clients []*client
	users   map[string]*client // first connection of each user
	topics  topics.Index[*client]
	only    int // clients that want nothing that is for everybody

	sets []*topics.Set[*client] // what following returned last
}

// enter adds a client.
func (b *books) enter(c *client) {
	c.index = int32(len(b.clients))
	b.clients = append(b.clients, c)
	if c.only {
		b.only++
	}
	if c.uid != "" {
		c.next = b.users[c.uid]
		b.users[c.uid] = c
	}
	for i := range c.topics {
		ref := &c.topics[i]
		ref.pattern = b.topics.Add(ref.pattern, c, int32(i))
	}
}

// strike takes out a client that was entered.
func (b *books) strike(c *client) {
	last := b.clients[len(b.clients)-1]
	b.clients[c.index] = last
	last.index = c.index
	b.clients[len(b.clients)-1] = nil
	b.clients = shrink(b.clients[:len(b.clients)-1])
	if c.only {
		b.only--
	}
	if c.uid != "" {
		b.strikeUser(c)
	}
	for i := range c.topics {
		b.topics.Remove(c, int32(i))
	}
}

func (b *books) strikeUser(c *client) {
	head := b.users[c.uid]
	if head != c {
		for head.next != c {
			head = head.next
		}
		head.next = c.next
	} else if c.next != nil {
		b.users[c.uid] = c.next
	} else {
		delete(b.users, c.uid)
	}
	c.next = nil
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

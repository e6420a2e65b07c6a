package engine

import (
	"slices"
	"strings"
)

// receivers is whom one event of a push is for.
type receivers struct {
	crowd   *crowd // several
	one     string
	private bool
	mask    uint64
}

// audienceOf resolves a list of users, which the caller keeps, to one of ours.
func (h *Hub) audienceOf(uids []string) receivers {
	a := receivers{private: true}
	if len(uids) > 1 {
		a.crowd = h.newCrowd(uids)
		a.mask = a.crowd.mask
		return a
	}
	a.one = uids[0]
	a.mask = 1 << h.shardOf(a.one)
	return a
}

// crowd is an audience of several users. It never changes once made, and the
// events of one push share it.
//
// The publisher pays for all that is linear in it: copying, sorting, and finding
// out which shard has whom. A shard looks only at its own users.
type crowd struct {
	names []string // sorted, without duplicates; they lie in one string of the crowd's own

	// order holds the indices of names by shard: those of shard s are
	// order[begin[s]:begin[s+1]]. Both are nil where there is one shard.
	order []uint32
	begin []uint32

	mask uint64 // the shards that have users of it, by bit
	size int64  // bytes of memory
}

// What a crowd takes besides its names' bytes.
const (
	crowdBytes = 128    // itself and its lists' heads
	nameBytes  = 16 + 4 // a name's head, and its place in order
)

// newCrowd copies uids. The copy is what makes size true: a name of the caller's
// may be a piece of something large.
func (h *Hub) newCrowd(uids []string) *crowd {
	c := &crowd{names: slices.Clone(uids)}
	slices.Sort(c.names)
	c.names = slices.Compact(c.names)
	c.own()
	if len(h.shards) == 1 {
		c.mask = 1
		return c
	}
	c.spread(len(h.shards), h.shardOf)
	return c
}

// own copies the names into one string.
func (c *crowd) own() {
	text := oneText(c.names)
	c.size = int64(crowdBytes + nameBytes*cap(c.names) + len(text))
	for i, name := range c.names {
		c.names[i], text = text[:len(name)], text[len(name):]
	}
}

// oneText returns a copy of the names, one behind the other.
func oneText(names []string) string {
	n := 0
	for _, name := range names {
		n += len(name)
	}
	var all strings.Builder
	all.Grow(n)
	for _, name := range names {
		all.WriteString(name)
	}
	return all.String()
}

// spread sorts the names' indices by shard.
func (c *crowd) spread(shards int, shardOf func(string) int) {
	places := make([]uint32, len(c.names)+shards+1)
	c.order, c.begin = places[:len(c.names):len(c.names)], places[len(c.names):]
	of := make([]uint8, len(c.names))
	for i, name := range c.names {
		s := shardOf(name)
		of[i] = uint8(s)
		c.begin[s+1]++
		c.mask |= 1 << s
	}
	for s := range shards {
		c.begin[s+1] += c.begin[s]
	}
	var next [maxShards]uint32
	copy(next[:], c.begin[:shards])
	for i, s := range of {
		c.order[next[s]] = uint32(i)
		next[s]++
	}
	c.size += int64(4 * (shards + 1))
}

// in returns how many of the users belong to the shard.
func (c *crowd) in(shard int) int {
	if c.begin == nil {
		return len(c.names)
	}
	return int(c.begin[shard+1] - c.begin[shard])
}

// at returns the index in names of the shard's user i.
func (c *crowd) at(shard, i int) int {
	if c.begin == nil {
		return i
	}
	return int(c.order[int(c.begin[shard])+i])
}

// has says whether uid is one of the users, by search.
func (c *crowd) has(uid string) bool {
	_, ok := slices.BinarySearch(c.names, uid)
	return ok
}

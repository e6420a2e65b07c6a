package persist

import (
	"slices"
)

// Sizes of the arena blocks of a page: the first is small, since most pages of a
// client that is nearly up to date hold a few records.
const (
	firstBlock = 4 << 10
	maxBlock   = 256 << 10
)

// pageBuilder collects records, until the limit is reached, in memory of the
// page's own: a few arena blocks instead of several allocations a record.
type pageBuilder struct {
	lim   Limit
	page  Page
	block []byte   // free space is block[len:cap]
	users []string // the same for Users
}

func newPageBuilder(after uint64, lim Limit) pageBuilder {
	return pageBuilder{lim: lim.withDefaults(), page: Page{UpTo: after}}
}

// fits reports whether a record with a frame of n bytes may be added. The first
// one always may.
func (b *pageBuilder) fits(n int) bool {
	if len(b.page.Records) == 0 {
		return true
	}
	return len(b.page.Records) < b.lim.Records && b.page.Bytes+n <= b.lim.Bytes
}

// alloc returns n bytes of the arena, whose capacity is clipped so that an append
// of the caller's can't reach its neighbour.
func (b *pageBuilder) alloc(n int) []byte {
	if cap(b.block)-len(b.block) < n {
		size := min(max(2*cap(b.block), firstBlock), maxBlock)
		b.block = make([]byte, 0, max(size, n))
	}
	i := len(b.block)
	b.block = b.block[:i+n]
	return b.block[i : i+n : i+n]
}

// bytes returns a copy of p in the arena.
func (b *pageBuilder) bytes(p []byte) []byte {
	q := b.alloc(len(p))
	copy(q, p)
	return q
}

// userList returns an empty list with room for n users.
func (b *pageBuilder) userList(n int) []string {
	if cap(b.users)-len(b.users) < n {
		b.users = make([]string, 0, max(n, min(2*cap(b.users)+4, 1024)))
	}
	i := len(b.users)
	b.users = b.users[:i+n]
	return b.users[i : i : i+n]
}

// add appends a record, and the page now reaches up to it. Its memory must be the
// page's already, or immutable.
func (b *pageBuilder) add(r Record) {
	if n := len(b.page.Records); n == cap(b.page.Records) {
		// Few, or as many as may come: a page of a dense log is mostly full.
		size := min(b.lim.Records, 16)
		if n > 0 {
			size = min(b.lim.Records, 16*n)
		}
		b.page.Records = append(make([]Record, 0, size), b.page.Records...)
	}
	b.page.Records = append(b.page.Records, r)
	b.page.Bytes += len(r.Frame)
	b.page.UpTo = r.ID
}

// addCopy appends a copy of a record that somebody else owns.
func (b *pageBuilder) addCopy(r *Record) {
	c := *r
	c.Frame = b.bytes(r.Frame)
	if r.Users != nil {
		c.Users = append(b.userList(len(r.Users)), r.Users...)
	}
	b.add(c)
}

// upTo moves the end of the page forward, beyond records that were not selected.
func (b *pageBuilder) upTo(id uint64) { b.page.UpTo = max(b.page.UpTo, id) }

// streamNames returns the index streams that q selects, without doubles. No
// record is in two of them.
func (q *Query) streamNames() []string {
	names := make([]string, 0, 2+len(q.Topics))
	if q.Public {
		names = append(names, publicStream)
	}
	for _, t := range q.Topics {
		if t != "" {
			names = append(names, topicStream(t))
		}
	}
	if q.User != "" {
		names = append(names, userStream(q.User))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

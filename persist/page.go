package persist

// Sizes of the arena blocks of a page: the first is small, since most pages of a
// client that is nearly up to date hold a few records.
const (
	firstBlock = 4 << 10
	maxBlock   = 256 << 10
)

// PageBuilder makes the [Page] that a Read or Query returns, for those who write a
// [Log]. It collects records until the limit is reached, in memory of the page's
// own: a few arena blocks instead of several allocations a record.
//
// Used by one goroutine.
type PageBuilder struct {
	// Page is what has been collected. Whoever selects records may take the last
	// one out again.
	Page Page

	lim   Limit
	block []byte   // free space is block[len:cap]
	users []string // the same for Users
}

// NewPageBuilder returns an empty page that begins behind after.
func NewPageBuilder(after uint64, lim Limit) PageBuilder {
	return PageBuilder{lim: lim.withDefaults(), Page: Page{UpTo: after}}
}

// MaxRecords is how many records the page takes.
func (b *PageBuilder) MaxRecords() int { return b.lim.Records }

// Fits reports whether a record with a frame of n bytes may be added. The first
// one always may.
func (b *PageBuilder) Fits(n int) bool {
	if len(b.Page.Records) == 0 {
		return true
	}
	return len(b.Page.Records) < b.lim.Records && b.Page.Bytes+n <= b.lim.Bytes
}

// alloc returns n bytes of the arena, whose capacity is clipped so that an append
// of the caller's can't reach its neighbour.
func (b *PageBuilder) alloc(n int) []byte {
	if cap(b.block)-len(b.block) < n {
		size := min(max(2*cap(b.block), firstBlock), maxBlock)
		b.block = make([]byte, 0, max(size, n))
	}
	i := len(b.block)
	b.block = b.block[:i+n]
	return b.block[i : i+n : i+n]
}

// Copy returns a copy of p in the page's memory.
func (b *PageBuilder) Copy(p []byte) []byte {
	q := b.alloc(len(p))
	copy(q, p)
	return q
}

// Users returns an empty list in the page's memory with room for n users.
func (b *PageBuilder) Users(n int) []string {
	if cap(b.users)-len(b.users) < n {
		b.users = make([]string, 0, max(n, min(2*cap(b.users)+4, 1024)))
	}
	i := len(b.users)
	b.users = b.users[:i+n]
	return b.users[i : i : i+n]
}

// Add appends a record, and the page now reaches up to it. Its memory must be the
// page's already, or immutable.
func (b *PageBuilder) Add(r Record) {
	if n := len(b.Page.Records); n == cap(b.Page.Records) {
		// Few, or as many as may come: a page of a dense log is mostly full.
		size := min(b.lim.Records, 16)
		if n > 0 {
			size = min(b.lim.Records, 16*n)
		}
		b.Page.Records = append(make([]Record, 0, size), b.Page.Records...)
	}
	b.Page.Records = append(b.Page.Records, r)
	b.Page.Bytes += len(r.Frame)
	b.Page.UpTo = r.ID
}

// AddCopy appends a copy of a record that somebody else owns.
func (b *PageBuilder) AddCopy(r *Record) {
	c := *r
	c.Frame = b.Copy(r.Frame)
	if r.Users != nil {
		c.Users = append(b.Users(len(r.Users)), r.Users...)
	}
	b.Add(c)
}

// Reach moves the end of the page forward, beyond records that were not selected.
func (b *PageBuilder) Reach(id uint64) { b.Page.UpTo = max(b.Page.UpTo, id) }

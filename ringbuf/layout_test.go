package ringbuf

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// field is a group of fields that one party writes.
type field struct {
	name       string
	start, end uintptr // bytes from the start of the struct
}

// requireApart fails unless there is a full line between the groups, which
// keeps them on different lines wherever the struct is allocated, and one
// after the last, which keeps the next allocation away.
func requireApart(t *testing.T, size uintptr, fields ...field) {
	t.Helper()
	for i, f := range fields {
		next := field{"the end", size, size}
		if i+1 < len(fields) {
			next = fields[i+1]
		}
		require.LessOrEqualf(t, f.end+lineSize, next.start, "%s and %s may share a cache line", f.name, next.name)
	}
}

func TestLayoutKeepsWritersApart(t *testing.T) {
	type payload [3]uint64

	var r Ring[payload]
	requireApart(t, unsafe.Sizeof(r),
		field{"fixed", 0, unsafe.Offsetof(r.wait) + unsafe.Sizeof(r.wait)},
		field{"waiters", unsafe.Offsetof(r.roots), unsafe.Offsetof(r.room) + unsafe.Sizeof(r.room)},
		field{"claimed", unsafe.Offsetof(r.claimed), unsafe.Offsetof(r.claimed) + 8},
		field{"reclaimed", unsafe.Offsetof(r.reclaimed), unsafe.Offsetof(r.reclaimed) + 8},
		field{"role", unsafe.Offsetof(r.role), unsafe.Offsetof(r.role) + 4},
	)

	var rd Reader[payload]
	requireApart(t, unsafe.Sizeof(rd),
		field{"waiters", 0, unsafe.Offsetof(rd.dependents) + unsafe.Sizeof(rd.dependents)},
		field{"known", unsafe.Offsetof(rd.known), unsafe.Offsetof(rd.known) + 8},
		field{"cursor and hold", unsafe.Offsetof(rd.cursor), unsafe.Offsetof(rd.hold) + 8},
	)
	require.LessOrEqual(t, unsafe.Offsetof(rd.hold)-unsafe.Offsetof(rd.cursor), uintptr(8),
		"cursor and hold are written together and belong together")

	var q Queue[payload]
	requireApart(t, unsafe.Sizeof(q),
		field{"fixed", 0, unsafe.Offsetof(q.wait) + unsafe.Sizeof(q.wait)},
		field{"waiter", unsafe.Offsetof(q.parker), unsafe.Offsetof(q.parker) + unsafe.Sizeof(q.parker)},
		field{"producer", unsafe.Offsetof(q.tail), unsafe.Offsetof(q.knownHead) + 8},
		field{"consumer", unsafe.Offsetof(q.head), unsafe.Offsetof(q.knownTail) + 8},
	)

	var m MPMC[payload]
	requireApart(t, unsafe.Sizeof(m),
		field{"fixed", 0, unsafe.Offsetof(m.mask) + 8},
		field{"producers", unsafe.Offsetof(m.tail), unsafe.Offsetof(m.tail) + 8},
		field{"consumers", unsafe.Offsetof(m.head), unsafe.Offsetof(m.head) + 8},
	)

	var b Mailbox[payload]
	requireApart(t, unsafe.Sizeof(b),
		field{"what stands before", 0, 0},
		field{"producers", unsafe.Offsetof(b.top), unsafe.Offsetof(b.top) + unsafe.Sizeof(b.top)},
		field{"consumer", unsafe.Offsetof(b.out), unsafe.Offsetof(b.out) + unsafe.Sizeof(b.out)},
	)
}

// A slot costs its value and one word, and no line is spent on padding it.
func TestLayoutSlotOverhead(t *testing.T) {
	require.Equal(t, unsafe.Sizeof([3]uint64{})+8, unsafe.Sizeof(slot[[3]uint64]{}))
	require.Equal(t, unsafe.Sizeof([3]uint64{})+8, unsafe.Sizeof(cell[[3]uint64]{}))
}

func TestBehindWrapsAround(t *testing.T) {
	const last = ^uint64(0)
	for _, c := range []struct {
		a, b uint64
		want bool
	}{
		{0, 0, false}, {0, 1, true}, {1, 0, false},
		{last, 0, true}, {0, last, false}, {last - 5, 5, true},
		{1<<63 - 1, 1 << 63, true}, {1 << 63, 1<<63 - 1, false},
	} {
		require.Equalf(t, c.want, behind(c.a, c.b), "behind(%d, %d)", c.a, c.b)
	}
}

func TestRoundUp(t *testing.T) {
	for n, want := range map[int]int{-1: 2, 0: 2, 1: 2, 2: 2, 3: 4, 4: 4, 5: 8, 1000: 1024, 1024: 1024} {
		require.Equalf(t, want, roundUp(n), "roundUp(%d)", n)
	}
}

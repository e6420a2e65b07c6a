package ringbuf_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/ringbuf"
)

// put claims, writes and publishes one sequence, whose value is itself.
func put(t *testing.T, r *ringbuf.Ring[uint64]) uint64 {
	t.Helper()
	seq, ok := r.TryClaim(1)
	require.True(t, ok, "no room")
	*r.Slot(seq) = seq
	r.Publish(seq, 1)
	return seq
}

// requireNext fails unless rd can read from..to now.
func requireNext(t *testing.T, rd *ringbuf.Reader[uint64], limit int, from, to uint64) {
	t.Helper()
	gotFrom, gotTo, ok := rd.TryNext(limit)
	require.True(t, ok, "nothing to read")
	require.Equal(t, []uint64{from, to}, []uint64{gotFrom, gotTo})
}

// requireNothing fails if rd can read anything now.
func requireNothing(t *testing.T, rd *ringbuf.Reader[uint64]) {
	t.Helper()
	from, to, ok := rd.TryNext(0)
	require.Falsef(t, ok, "can read %d..%d", from, to)
}

func TestRingCapacityIsRoundedUp(t *testing.T) {
	for capacity, want := range map[int]int{-1: 2, 0: 2, 2: 2, 3: 4, 100: 128} {
		require.Equal(t, want, ringbuf.NewRing[int](capacity, 0, nil).Cap())
	}
}

func TestRingFirstSequenceFollowsLast(t *testing.T) {
	for _, last := range []uint64{0, 41, ^uint64(0), 1<<63 - 1} {
		r := ringbuf.NewRing[uint64](4, last, nil)
		rd := r.NewReader()
		require.Equal(t, last, r.Claimed())
		require.Equal(t, last, rd.Cursor())
		require.Equal(t, last, rd.Available())
		require.Equal(t, last+1, rd.Held())
		requireNothing(t, rd)
		require.Equal(t, last+1, put(t, r))
		require.Equal(t, last+1, r.Claimed())
		requireNext(t, rd, 0, last+1, last+1)
	}
}

// Producers are gated by the slowest reader, and by nothing else.
func TestRingSlowestReaderGatesClaims(t *testing.T) {
	r := ringbuf.NewRing[uint64](4, 0, nil)
	fast, slow := r.NewReader(), r.NewReader()
	for range 4 {
		put(t, r)
	}
	_, ok := r.TryClaim(1)
	require.False(t, ok, "claimed a slot that no reader has read")

	requireNext(t, fast, 0, 1, 4)
	fast.Advance(4)
	_, ok = r.TryClaim(1)
	require.False(t, ok, "claimed a slot that the slow reader has not read")

	requireNext(t, slow, 2, 1, 2)
	slow.Advance(2)
	_, ok = r.TryClaim(3)
	require.False(t, ok, "claimed more than is free")
	first, ok := r.TryClaim(2)
	require.True(t, ok)
	require.Equal(t, uint64(5), first)
}

// Room is freed by readers only.
func TestRingWithoutReaderFillsUp(t *testing.T) {
	var released []uint64
	r := ringbuf.NewRing(2, 0, func(seq uint64, _ *uint64) { released = append(released, seq) })
	put(t, r)
	put(t, r)
	_, ok := r.TryClaim(1)
	require.False(t, ok)
	r.Close()
	require.Empty(t, released)
	r.ReleaseAll()
	require.Equal(t, []uint64{1, 2}, released)
}

// Readers see sequences without holes, whatever the order of publication.
func TestRingPublishOutOfOrder(t *testing.T) {
	r := ringbuf.NewRing[uint64](8, 0, nil)
	root := r.NewReader()
	next := r.NewReader(root)
	a, _ := r.TryClaim(2)
	b, _ := r.TryClaim(1)
	c, _ := r.TryClaim(1)

	r.Publish(c, 1)
	requireNothing(t, root)
	r.Publish(a, 2)
	requireNext(t, root, 0, 1, 2)
	require.Equal(t, uint64(2), root.Available())
	r.Publish(b, 1)
	requireNext(t, root, 0, 1, 4)
	requireNext(t, root, 3, 1, 3)

	requireNothing(t, next)
	root.Advance(3)
	requireNext(t, next, 0, 1, 3)
	require.Equal(t, uint64(3), next.Available())
}

// A reader sees what all of its predecessors have passed, and no more.
func TestReaderFollowsAllPredecessors(t *testing.T) {
	r := ringbuf.NewRing[uint64](8, 0, nil)
	a, b := r.NewReader(), r.NewReader()
	c := r.NewReader(a, b)
	for range 4 {
		put(t, r)
	}
	requireNext(t, a, 0, 1, 4)
	requireNext(t, b, 0, 1, 4)
	a.Advance(3)
	requireNothing(t, c)
	b.Advance(2)
	requireNext(t, c, 0, 1, 2)
	c.Advance(1)
	b.Advance(4)
	requireNext(t, c, 0, 2, 3)
}

// Slots are released when no reader holds them: once, in order.
func TestRingReleasesBelowTheLowestHold(t *testing.T) {
	for _, start := range starts {
		var released []uint64
		r := ringbuf.NewRing(8, start, func(seq uint64, v *uint64) {
			released = append(released, seq-start)
			require.Equal(t, seq, *v)
		})
		a, b := r.NewReader(), r.NewReader()
		b.SetWindow(2)
		for range 8 {
			put(t, r)
		}
		requireNext(t, a, 0, start+1, start+8)
		requireNext(t, b, 0, start+1, start+8)

		a.Advance(start + 5)
		require.Empty(t, released)
		b.Advance(start + 1)
		require.Equal(t, start+1, b.Held(), "a window holds what is not yet as old as it is wide")
		require.Empty(t, released)
		b.Advance(start + 6)
		require.Equal(t, start+5, b.Held())
		require.Equal(t, []uint64{1, 2, 3, 4}, released)

		b.Hold(start + 3)
		require.Equal(t, start+5, b.Held(), "a hold only grows")
		b.Hold(start + 6)
		require.Equal(t, []uint64{1, 2, 3, 4, 5}, released)
		a.Advance(start + 8)
		b.Hold(start + 100)
		require.Equal(t, start+7, b.Held(), "a hold stays behind what is unread")
		require.Equal(t, []uint64{1, 2, 3, 4, 5, 6}, released)
		require.Equal(t, start+6, b.Cursor())

		b.Advance(start + 8)
		require.Equal(t, start+7, b.Held())
		b.SetWindow(0)
		require.Equal(t, start+9, b.Held(), "a narrower window lets go at once")
		require.Equal(t, []uint64{1, 2, 3, 4, 5, 6, 7, 8}, released)
	}
}

// Without a release function the ring keeps nothing alive.
func TestRingClearsSlotsWithoutRelease(t *testing.T) {
	r := ringbuf.NewRing[uint64](4, 0, nil)
	rd := r.NewReader()
	seq := put(t, r)
	requireNext(t, rd, 0, seq, seq)
	require.Equal(t, seq, *r.Slot(seq))
	rd.Advance(seq)
	require.Zero(t, *r.Value(seq))
}

// What was claimed before Close reaches every reader before ErrClosed.
func TestRingCloseDrains(t *testing.T) {
	for _, start := range starts {
		r := ringbuf.NewRing[uint64](4, start, nil)
		root := r.NewReader()
		next := r.NewReader(root)
		late, _ := r.TryClaim(2)
		require.False(t, r.Closed())
		r.Close()
		r.Close()
		require.True(t, r.Closed())
		require.Equal(t, start+2, r.Claimed())
		_, ok := r.TryClaim(1)
		require.False(t, ok)
		_, err := r.Claim(context.Background(), 1)
		require.ErrorIs(t, err, ringbuf.ErrClosed)

		requireNothing(t, root)
		r.Publish(late, 2)
		for _, rd := range []*ringbuf.Reader[uint64]{root, next} {
			from, to, err := rd.Next(context.Background(), 1)
			require.NoError(t, err)
			require.Equal(t, []uint64{start + 1, start + 1}, []uint64{from, to})
			rd.Advance(to)
			_, to, err = rd.Next(context.Background(), 0)
			require.NoError(t, err)
			rd.Advance(to)
			_, _, err = rd.Next(context.Background(), 0)
			require.ErrorIs(t, err, ringbuf.ErrClosed)
		}
	}
}

// ReleaseAll gives back what is held, once, and skips what has no value.
func TestRingReleaseAll(t *testing.T) {
	for _, start := range starts {
		var released []uint64
		r := ringbuf.NewRing(8, start, func(seq uint64, _ *uint64) { released = append(released, seq-start) })
		rd := r.NewReader()
		rd.SetWindow(3)
		for range 5 {
			put(t, r)
		}
		_, ok := r.TryClaim(1) // never published
		require.True(t, ok)
		put(t, r)
		requireNext(t, rd, 0, start+1, start+5)
		rd.Advance(start + 4)
		require.Equal(t, []uint64{1}, released)

		require.Panics(t, r.ReleaseAll, "the ring is open")
		r.Close()
		r.ReleaseAll()
		require.Equal(t, []uint64{1, 2, 3, 4, 5, 7}, released)
		r.ReleaseAll()
		require.Len(t, released, 6)
		require.True(t, r.Closed())
		require.Equal(t, start+7, r.Claimed())
		require.Equal(t, start+7, r.Reclaimed())
	}
}

// A claim that can never be met fails at once instead of waiting for ever.
func TestRingClaimTooMany(t *testing.T) {
	r := ringbuf.NewRing[uint64](8, 0, nil)
	rd := r.NewReader()
	ctx := newDeadline(t)
	_, ok := r.TryClaim(9)
	require.False(t, ok)
	_, err := r.Claim(ctx, 9)
	require.ErrorIs(t, err, ringbuf.ErrTooMany)
	first, err := r.Claim(ctx, 8)
	require.NoError(t, err, "all slots at once")
	r.Publish(first, 8)
	requireNext(t, rd, 0, 1, 8)
	rd.SetWindow(3)
	rd.Advance(8)
	_, err = r.Claim(ctx, 6)
	require.ErrorIs(t, err, ringbuf.ErrTooMany, "three slots stay held for ever")
	_, err = r.Claim(ctx, 5)
	require.NoError(t, err)
}

// Misuse is told at the place where it happens.
func TestRingMisusePanics(t *testing.T) {
	r, other := ringbuf.NewRing[uint64](4, 0, nil), ringbuf.NewRing[uint64](4, 0, nil)
	rd := r.NewReader()
	require.Panics(t, func() { other.NewReader(rd) }, "reader of another ring")
	require.Panics(t, func() { r.TryClaim(0) })
	require.Panics(t, func() { _, _ = r.Claim(context.Background(), -1) })
	require.Panics(t, func() { rd.SetWindow(-1) })
	require.Panics(t, func() { rd.SetWindow(4) })
	require.Panics(t, func() { rd.Advance(1) }, "nothing was published")
	put(t, r)
	put(t, r)
	require.Panics(t, func() { r.NewReader() }, "after the first claim")
	require.Panics(t, func() { rd.Advance(1) }, "nothing was returned")
	requireNext(t, rd, 0, 1, 2)
	require.Panics(t, func() { rd.Advance(3) })
	rd.Advance(2)
	rd.Advance(2)
	require.Panics(t, func() { rd.Advance(1) }, "backwards")
}

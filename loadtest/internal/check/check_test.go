package check_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/stamp"
)

var space = check.Space{Lanes: 2, Users: 3, Topics: 5}

// one returns stream 1's checker: user 1, topics 4 and 0.
func one(l *check.Ledger) *check.Client {
	c := check.Clients(space, 3, 2, func(i int) (uint32, uint32) { return uint32(i), uint32(i + 3) })
	return &c[1]
}

func ev(kind stamp.Kind, index uint32, seq uint64) *stamp.Stamp {
	return &stamp.Stamp{Lane: 1, Kind: kind, Index: index, Seq: seq}
}

func issue(l *check.Ledger, n int) {
	for range n {
		l.Issue(1, stamp.Broadcast, 0)
	}
}

func TestAddressees(t *testing.T) {
	l := check.NewLedger(space)
	c := one(l)
	c.Joined(l, false)
	for _, x := range []struct {
		kind  stamp.Kind
		index uint32
		want  check.Outcome
	}{
		{stamp.Broadcast, 0, check.Live}, {stamp.User, 1, check.Live}, {stamp.Topic, 4, check.Live}, {stamp.Topic, 0, check.Live},
		{stamp.User, 0, check.Misaddressed}, {stamp.User, 2, check.Misaddressed}, {stamp.Topic, 1, check.Misaddressed}, {stamp.Topic, 3, check.Misaddressed},
		{stamp.User, 3, check.Unknown}, {stamp.Topic, 5, check.Unknown}, {stamp.Broadcast, 1, check.Unknown}, {'q', 0, check.Unknown},
	} {
		l.Issue(1, stamp.User, 1)
		require.Equal(t, x.want, c.Observe(l, ev(x.kind, x.index, 1)), "%c%d", x.kind, x.index)
	}
	require.Equal(t, check.Unknown, c.Observe(l, &stamp.Stamp{Lane: 2, Kind: stamp.Broadcast, Seq: 1}))
}

// Whatever a stream receives in which order: each number is counted once as
// received or as lost, each repetition as a double, and each first receipt
// after a higher number as late. The twin keeps a set of all numbers.
func TestAccountsForEveryNumber(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if env, err := strconv.ParseUint(os.Getenv("LOADTEST_SEED"), 10, 64); err == nil {
		seed = env
	}
	t.Logf("replay with LOADTEST_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		l := check.NewLedger(space)
		c := one(l)
		c.Joined(l, false)
		total := 1 + r.IntN(200)
		issue(l, total)
		seen, high := map[uint64]bool{}, uint64(0)
		for range r.IntN(400) {
			n := 1 + uint64(r.IntN(total))
			if r.IntN(2) == 0 {
				n = min(high+1+uint64(r.IntN(3)), uint64(total))
			}
			want := check.Live
			switch {
			case seen[n]:
				want = check.Duplicate
			case n < high:
				want = check.Late
			}
			require.Equal(t, want, c.Observe(l, ev(stamp.Broadcast, 0, n)), "number %d", n)
			seen[n], high = true, max(high, n)
		}
		lost := uint64(total - len(seen))
		loss := c.Finish(l, nil)
		require.Equal(t, lost, loss.Total())
		require.Equal(t, uint64(total)-high, loss.Tail)
	}
}

// A live stream is owed what is issued after it has joined, no more and no less.
func TestJoinWithoutResume(t *testing.T) {
	l := check.NewLedger(space)
	issue(l, 10)
	c := one(l)
	c.Joined(l, false)
	require.Zero(t, c.Finish(l, nil))
	issue(l, 5) // 11 to 15
	require.Equal(t, check.Live, c.Observe(l, ev(stamp.Broadcast, 0, 13)))
	require.Equal(t, check.Loss{Passed: 2, AtJoin: 2, Tail: 2}, c.Finish(l, nil))

	c = one(l)
	c.Joined(l, false)
	issue(l, 1)
	require.Equal(t, check.Replayed, c.Observe(l, ev(stamp.Broadcast, 0, 14)), "was on its way when the stream joined")
	require.Equal(t, check.LateReplayed, c.Observe(l, ev(stamp.Broadcast, 0, 12)))
	require.Equal(t, check.Replayed, c.Observe(l, ev(stamp.Broadcast, 0, 15)))
	require.Equal(t, check.Live, c.Observe(l, ev(stamp.Broadcast, 0, 16)))
	require.Zero(t, c.Finish(l, nil))
}

// A resumed stream is owed everything since its last event, and is behind until
// it has all that was issued before it came back.
func TestResume(t *testing.T) {
	l := check.NewLedger(space)
	c := one(l)
	c.Joined(l, true) // nothing to resume from yet
	require.False(t, c.Behind())
	issue(l, 3)
	require.Equal(t, check.Live, c.Observe(l, ev(stamp.Broadcast, 0, 1)))
	c.Joined(l, true)
	require.True(t, c.Behind())
	require.Equal(t, check.Replayed, c.Observe(l, ev(stamp.Broadcast, 0, 2)))
	require.True(t, c.Behind())
	require.Equal(t, check.Replayed, c.Observe(l, ev(stamp.Broadcast, 0, 3)))
	require.False(t, c.Behind())
	require.False(t, c.Skipped())
	require.Equal(t, check.Duplicate, c.Observe(l, ev(stamp.Broadcast, 0, 3)))

	issue(l, 4) // 4 to 7
	c.Joined(l, true)
	issue(l, 1)
	require.Equal(t, check.Live, c.Observe(l, ev(stamp.Broadcast, 0, 8)), "the resend was left out")
	require.False(t, c.Behind())
	require.True(t, c.Skipped())
	require.Equal(t, check.Loss{Passed: 4}, c.Finish(l, nil))

	issue(l, 2)
	c.Joined(l, false)
	require.Equal(t, check.Loss{Passed: 4, Away: 2}, c.Finish(l, nil), "a stream that does not resume is not owed what it was away for, but it is known how much that is")
}

// What is published while a stream is away that cannot resume is owed to nobody,
// and counted: exactly, over several absences, less what comes after all and what
// was never accepted.
func TestMissedWhileAway(t *testing.T) {
	l := check.NewLedger(space)
	c := one(l)
	c.Joined(l, false)
	issue(l, 10)
	for n := range uint64(7) {
		c.Observe(l, ev(stamp.Broadcast, 0, n+1))
	}
	c.Joined(l, false) // away for 8 to 10
	require.Equal(t, check.Loss{Away: 3}, c.Finish(l, nil))
	issue(l, 2)
	require.Equal(t, check.Replayed, c.Observe(l, ev(stamp.Broadcast, 0, 10)), "on its way when the stream joined")
	require.Equal(t, check.Loss{Away: 2, Tail: 2}, c.Finish(l, nil))
	c.Joined(l, false) // away for 11 and 12
	issue(l, 3)
	require.Equal(t, check.Loss{Away: 4, Tail: 3}, c.Finish(l, nil))
	v := check.Voids{}
	v.Add(space, 1, stamp.Broadcast, 0, 12)
	require.Equal(t, check.Loss{Away: 3, Tail: 3}, c.Finish(l, v))
	c.SendAway() // told not to come back: the rest is not owed either
	require.Equal(t, check.Loss{Away: 7}, c.Finish(l, nil))
}

// A stream that resumes before it has seen anything of a cell is owed all of the
// cell since it joined first.
func TestResumeBeforeTheFirstEventOfACell(t *testing.T) {
	l := check.NewLedger(space)
	issue(l, 2) // on its way while the stream joins
	c := one(l)
	c.Joined(l, false)
	l.Issue(0, stamp.Broadcast, 0)
	require.Equal(t, check.Live, c.Observe(l, &stamp.Stamp{Kind: stamp.Broadcast, Seq: 1}))
	issue(l, 8) // 3 to 10
	c.Joined(l, true)
	require.True(t, c.Behind())
	require.Equal(t, check.Replayed, c.Observe(l, ev(stamp.Broadcast, 0, 2)), "no disorder: it came before all others")
	require.Equal(t, check.Replayed, c.Observe(l, ev(stamp.Broadcast, 0, 6)))
	require.EqualValues(t, check.Loss{Passed: 3, Tail: 4}, c.Finish(l, nil))
	require.True(t, c.Skipped())
}

func TestVoidNumbersAreOwedToNobody(t *testing.T) {
	l := check.NewLedger(space)
	c := one(l)
	c.Joined(l, false)
	issue(l, 10)
	v := check.Voids{}
	for _, n := range []uint64{2, 3, 5, 9, 10} {
		v.Add(space, 1, stamp.Broadcast, 0, n)
	}
	v.Add(space, 1, stamp.User, 99, 1)
	c.Observe(l, ev(stamp.Broadcast, 0, 1))
	c.Observe(l, ev(stamp.Broadcast, 0, 6)) // passed over 2 to 5; 4 is lost
	require.Equal(t, check.Loss{Passed: 1, Tail: 2}, c.Finish(l, v))
}

func TestStreamThatNeverJoinedIsOwedNothing(t *testing.T) {
	l := check.NewLedger(space)
	c := one(l)
	issue(l, 10)
	require.Zero(t, c.Finish(l, nil))
	require.Zero(t, c.Finish(l, nil))
}

// With a publisher elsewhere only what is passed over can be known.
func TestFarPublisher(t *testing.T) {
	l := check.NewFarLedger(space)
	c := one(l)
	c.Joined(l, false)
	require.Equal(t, check.Live, c.Observe(l, ev(stamp.Broadcast, 0, 1000)))
	require.Equal(t, check.Live, c.Observe(l, ev(stamp.Broadcast, 0, 1002)))
	require.Equal(t, check.Loss{Passed: 1}, c.Finish(l, nil))
}

// A stream with very many holes keeps bounded memory and still counts each loss.
func TestManyHoles(t *testing.T) {
	l := check.NewLedger(space)
	c := one(l)
	c.Joined(l, false)
	issue(l, 2000)
	for n := uint64(2); n <= 2000; n += 2 {
		require.Equal(t, check.Live, c.Observe(l, ev(stamp.Broadcast, 0, n)))
	}
	loss := c.Finish(l, nil)
	require.EqualValues(t, 1000, loss.Passed)
	require.EqualValues(t, 1000-256, loss.Frozen)
}

func TestSharedMemory(t *testing.T) {
	mem := make([]byte, space.Bytes())
	a, err := check.LedgerIn(mem, space)
	require.NoError(t, err)
	b, err := check.LedgerIn(mem, space)
	require.NoError(t, err)
	require.EqualValues(t, 1, a.Issue(0, stamp.Topic, 4))
	require.EqualValues(t, 2, b.Issue(0, stamp.Topic, 4))
	require.EqualValues(t, 2, a.Total())
	_, err = check.LedgerIn(mem[1:], space)
	require.Error(t, err)
	require.Panics(t, func() { a.Issue(0, stamp.User, 99) })
}

func TestNoAllocationPerEvent(t *testing.T) {
	l := check.NewLedger(space)
	c := one(l)
	c.Joined(l, false)
	n := uint64(0)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		n++
		if c.Observe(l, &stamp.Stamp{Kind: stamp.Broadcast, Seq: n}) != check.Live {
			t.Fatal("not live")
		}
	}))
}

package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
)

// The books say the same of who is connected by every way, whoever comes and goes: all of
// them, a user's, a topic's, and whether anybody wants what is for everybody.
func TestBooksAgree(t *testing.T) {
	testrace.Pointless(t)
	rng := rand.New(rand.NewPCG(1, 2))
	var b books
	var there []*client
	names := func(i int) string { return fmt.Sprint("n", i) }
	for range 2_000 {
		if len(there) > 0 && rng.IntN(5) < 2 {
			i := rng.IntN(len(there))
			b.strike(there[i])
			there = slices.Delete(there, i, i+1)
		} else {
			c := &client{only: rng.IntN(4) > 0}
			if rng.IntN(3) > 0 {
				c.uid = names(rng.IntN(5))
			}
			var follows []string
			for range rng.IntN(3) {
				follows = append(follows, names(rng.IntN(5)))
			}
			patterns, err := (&Subscription{Topics: follows}).validate()
			require.NoError(t, err)
			c.follow(patterns)
			b.enter(c)
			there = append(there, c)
		}
		if len(there) > 60 {
			for len(there) > 3 {
				b.strike(there[0])
				there = there[1:]
			}
		}
		requireBooks(t, &b, there)
	}
}

// requireBooks compares the books with a plain list of those who are there.
func requireBooks(t *testing.T, b *books, there []*client) {
	t.Helper()
	require.ElementsMatch(t, there, b.clients)
	require.Equal(t, slices.ContainsFunc(there, func(c *client) bool { return !c.only }), b.takesPublic())
	for i := range 5 {
		name := fmt.Sprint("n", i)
		var users, followers []*client
		for c := b.users.Get(name); c != nil; c = b.older(c) {
			users = append(users, c)
		}
		require.ElementsMatch(t, slices.DeleteFunc(slices.Clone(there), func(c *client) bool { return c.uid != name }), users)
		for _, set := range b.following(name) {
			for _, m := range set.Entries() {
				followers = append(followers, m.Member)
			}
		}
		require.ElementsMatch(t, slices.DeleteFunc(slices.Clone(there), func(c *client) bool { return !c.Follows(name) }), followers)
		require.Equal(t, len(followers) > 0, b.takesTopic(name))
	}
}

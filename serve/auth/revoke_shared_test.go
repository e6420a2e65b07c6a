package auth_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/stream"
)

// What was revoked elsewhere holds from its own time, beside what is known here: never
// for less, also after a restart.
func TestLearnedRevocationsHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	var v auth.Revocations
	require.NoError(t, v.Keep(path))
	now := time.Now().Truncate(time.Second)
	tom := auth.Revocation{User: "tom", At: now.Add(-time.Hour), Until: now.Add(time.Hour)}
	fresh, err := v.Learn(tom)
	require.NoError(t, err)
	require.Equal(t, []auth.Revocation{tom}, fresh)
	issued := func(ago time.Duration) *stream.Grant { return &stream.Grant{User: "tom", Issued: now.Add(-ago)} }
	require.True(t, v.Revoked(issued(2*time.Hour)))
	require.False(t, v.Revoked(issued(time.Minute)))

	fresh, err = v.Learn(tom, auth.Revocation{User: "tom", At: now.Add(-2 * time.Hour), Until: now.Add(time.Minute)})
	require.NoError(t, err)
	require.Empty(t, fresh, "nothing of it says more")
	more := []auth.Revocation{{User: "tom", At: now.Add(-time.Second)}, {Grant: "g", At: now}, {User: "ann", At: now, Until: now.Add(time.Hour)}}
	fresh, err = v.Learn(append(more, auth.Revocation{At: now}, auth.Revocation{User: "x"})...)
	require.Error(t, err, "of those that are none")
	require.Equal(t, more, fresh)
	for range 2 {
		require.True(t, v.Revoked(issued(time.Minute)))
		require.True(t, v.Revoked(&stream.Grant{ID: "g"}))
		all := v.All()
		require.Len(t, all, 3)
		r, is := v.OfUser("ann")
		require.True(t, is)
		require.True(t, r.Until.Equal(now.Add(time.Hour)))
		require.NoError(t, v.Save())
		v = auth.Revocations{}
		require.NoError(t, v.Keep(path))
	}
	_, is := v.OfUser("nobody")
	require.False(t, is)
}

// What was learned and could not be written is written by the next Save, with all that came meanwhile: few lines or very
// many.
func TestLearnedRevocationsAreSavedLater(t *testing.T) {
	for _, more := range []int{1, 3000} {
		folder := filepath.Join(t.TempDir(), "data")
		path := filepath.Join(folder, "revoked")
		require.NoError(t, os.Mkdir(folder, 0o700))
		var v auth.Revocations
		require.NoError(t, v.Keep(path))
		require.NoError(t, v.Save(), "there is nothing")
		now := time.Now()
		learn := func(user string) {
			fresh, err := v.Learn(auth.Revocation{User: user, At: now, Until: now.Add(time.Hour)})
			require.NoError(t, err)
			require.Len(t, fresh, 1)
		}
		learn("kept")
		require.NoError(t, v.Save())
		require.NoError(t, os.RemoveAll(folder))
		learn("first")
		require.Error(t, v.Save())
		for i := range more {
			learn(fmt.Sprint("later", i))
		}
		require.Error(t, v.Save())
		require.NoError(t, os.Mkdir(folder, 0o700))
		require.NoError(t, v.Save())
		learn("last")
		require.NoError(t, v.Save())
		var again auth.Revocations
		require.NoError(t, again.Keep(path))
		require.ElementsMatch(t, users(v.All()), users(again.All()))
		require.Len(t, again.All(), more+3)
	}
}

func users(list []auth.Revocation) (names []string) {
	for _, r := range list {
		names = append(names, r.User)
	}
	return names
}

// One takes back all of another one if it is of the same, and neither earlier nor for less.
func TestCovers(t *testing.T) {
	now := time.Now()
	tom := auth.Revocation{User: "tom", At: now, Until: now.Add(time.Hour)}
	later, longer, forever := tom, tom, tom
	later.At, longer.Until, forever.Until = now.Add(1), tom.Until.Add(1), time.Time{}
	for _, more := range []auth.Revocation{later, longer, forever} {
		require.True(t, more.Covers(&tom))
		require.False(t, tom.Covers(&more))
	}
	require.True(t, tom.Covers(&tom))
	require.True(t, forever.Covers(&longer))
	require.False(t, later.Covers(&longer))
	require.False(t, tom.Covers(&auth.Revocation{User: "ann", At: now, Until: tom.Until}))
	grant := auth.Revocation{Grant: "g", At: now}
	require.True(t, grant.Covers(&auth.Revocation{Grant: "g", At: now.Add(time.Hour), Until: now}), "a grant is taken back as a whole")
	require.False(t, grant.Covers(&auth.Revocation{Grant: "h", At: now}))
}

// A list that is full takes what others revoke for those that it has, and looks for what is over only when there can be
// any.
func TestAFullListLearns(t *testing.T) {
	var v auth.Revocations
	now := time.Now()
	v.SetClock(func() time.Time { return now })
	list := make([]auth.Revocation, 100_000)
	for i := range list {
		list[i] = auth.Revocation{User: fmt.Sprint("user", i), At: now, Until: now.Add(time.Hour)}
	}
	list[7].Until = now.Add(time.Minute)
	fresh, err := v.Learn(list...)
	require.NoError(t, err)
	require.Len(t, fresh, len(list))
	others := make([]auth.Revocation, 5000) // 5000 looks at 100,000 each would take minutes
	for i := range others {
		others[i] = auth.Revocation{User: fmt.Sprint("other", i), At: now, Until: now.Add(time.Hour)}
	}
	for _, one := range others {
		fresh, err = v.Learn(one)
		require.ErrorIs(t, err, auth.ErrRevocationsFull)
		require.Empty(t, fresh)
	}
	fresh, err = v.Learn(auth.Revocation{User: "user1", At: now.Add(1), Until: now.Add(time.Hour)})
	require.NoError(t, err)
	require.Len(t, fresh, 1)
	now = now.Add(time.Minute)
	fresh, err = v.Learn(others...)
	require.ErrorIs(t, err, auth.ErrRevocationsFull)
	require.Len(t, fresh, 1, "in the place of the one that is over")
}

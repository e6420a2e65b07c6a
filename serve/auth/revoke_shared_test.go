package auth_test

import (
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

	fresh, err = v.Learn(tom, auth.Revocation{User: "tom", At: now.Add(-2 * time.Hour), Until: now.Add(time.Minute)}, auth.Revocation{User: "old", At: now, Until: now.Add(-time.Minute)})
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
		v = auth.Revocations{}
		require.NoError(t, v.Keep(path))
	}
	_, is := v.OfUser("nobody")
	require.False(t, is)
}

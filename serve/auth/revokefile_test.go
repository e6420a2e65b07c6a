package auth_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/stream"
)

// kept is the revocations of a file.
func kept(path string) (*auth.Revocations, error) {
	v := new(auth.Revocations)
	return v, v.Keep(path)
}

// What was revoked is so after a restart as well, with the time at which it was and
// until when; what is over is not refused any more.
func TestRevocationsOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	v, err := kept(path)
	require.NoError(t, err)
	require.NoFileExists(t, path, "there is nothing to keep")
	before := time.Now().Add(-time.Second)
	require.NoError(t, v.User("tom \u2028 \"x\"", time.Time{}))
	require.NoError(t, v.User("ann", time.Now().Add(time.Hour)))
	require.NoError(t, v.User("over", time.Now().Add(-time.Hour)))
	require.NoError(t, v.Grant("g1", time.Time{}))
	require.Error(t, v.Grant("g2", time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)), "no file can have it")
	require.False(t, v.Revoked(&stream.Grant{ID: "g2"}))
	for range 3 {
		v, err = kept(path)
		require.NoError(t, err)
		require.True(t, v.Revoked(&stream.Grant{User: "tom \u2028 \"x\"", Issued: before}))
		require.False(t, v.Revoked(&stream.Grant{User: "tom \u2028 \"x\"", Issued: time.Now().Add(time.Second)}))
		require.True(t, v.Revoked(&stream.Grant{User: "ann"}))
		require.False(t, v.Revoked(&stream.Grant{User: "over"}))
		require.True(t, v.Revoked(&stream.Grant{ID: "g1"}))
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 4, bytes.Count(text, []byte("\n")))
}

// A start whose clock is far ahead forgets nothing: what it takes to be over holds again
// once the clock is right, in that life and in the next.
func TestAClockAheadForgetsNoRevocation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	v, err := kept(path)
	require.NoError(t, err)
	require.NoError(t, v.User("tom", time.Now().Add(time.Hour)))
	require.NoError(t, v.Grant("g1", time.Now().Add(time.Hour)))
	holds := func(v *auth.Revocations) bool {
		return v.Revoked(&stream.Grant{User: "tom"}) && v.Revoked(&stream.Grant{ID: "g1"})
	}
	ahead := new(auth.Revocations)
	ahead.SetClock(func() time.Time { return time.Now().Add(1000 * time.Hour) })
	require.NoError(t, ahead.Keep(path))
	require.False(t, holds(ahead))
	require.NoError(t, ahead.User("ann", time.Time{}))
	ahead.SetClock(time.Now)
	require.True(t, holds(ahead))
	v, err = kept(path)
	require.NoError(t, err)
	require.True(t, holds(v))
}

// Wherever a power cut tears the last line, which counted for nobody yet, the others hold
// and the file can be written to.
func TestRevocationsOfATornFile(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	v, err := kept(whole)
	require.NoError(t, err)
	require.NoError(t, v.User("tom", time.Time{}))
	first, err := os.ReadFile(whole)
	require.NoError(t, err)
	require.NoError(t, v.User("ann", time.Time{}))
	text, err := os.ReadFile(whole)
	require.NoError(t, err)
	for cut := len(first); cut < len(text); cut++ {
		for _, tail := range []string{"", "\x00\x00\x00"} {
			path := filepath.Join(dir, "torn")
			require.NoError(t, os.WriteFile(path, append(bytes.Clone(text[:cut]), tail...), 0o600))
			v, err := kept(path)
			require.NoError(t, err, "%q", text[:cut])
			require.True(t, v.Revoked(&stream.Grant{User: "tom"}))
			require.False(t, v.Revoked(&stream.Grant{User: "ann"}))
			require.NoError(t, v.User("bob", time.Time{}))
			v, err = kept(path)
			require.NoError(t, err)
			require.True(t, v.Revoked(&stream.Grant{User: "tom"}))
			require.True(t, v.Revoked(&stream.Grant{User: "bob"}))
		}
	}
}

// A line that is none is refused with its number: to pass it over would let somebody in.
func TestRevocationsOfABadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	good := `{"user":"tom","at":"2026-11-28T10:00:00Z"}` + "\n"
	for line, says := range map[string]string{
		``: "object", `x`: "object", `{}`: "user or a grant", `{"user":"tom"}`: "at", `{"at":"2026-11-28T10:00:00Z"}`: "user or a grant",
		`{"user":"a","grant":"b","at":"2026-11-28T10:00:00Z"}`:                    "not both",
		`{"user":"a","user":"b","at":"2026-11-28T10:00:00Z"}`:                     "twice",
		`{"user":"a","at":"yesterday"}`:                                           "a time",
		`{"user":"a","at":"2026-11-28T10:00:00Z","till":"x"}`:                     "till",
		`{"user":"` + strings.Repeat("a", 300) + `","at":"2026-11-28T10:00:00Z"}`: "user",
		"\x00\x00": "object",
	} {
		require.NoError(t, os.WriteFile(path, []byte(good+line+"\n"+good), 0o600))
		_, err := kept(path)
		require.ErrorContains(t, err, "line 2", line)
		require.ErrorContains(t, err, says, line)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, good+line+"\n"+good, string(text), "it is not touched")
	}
}

// What can't be written is not revoked, and said; later ones are.
func TestRevocationsThatCannotBeKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	path := filepath.Join(dir, "revoked")
	v, err := kept(path)
	require.NoError(t, err)
	require.Error(t, v.User("tom", time.Time{}))
	require.False(t, v.Revoked(&stream.Grant{User: "tom"}))
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, v.User("ann", time.Time{}))
	v, err = kept(path)
	require.NoError(t, err)
	require.True(t, v.Revoked(&stream.Grant{User: "ann"}))
	require.False(t, v.Revoked(&stream.Grant{User: "tom"}))
}

// The file is bounded by what holds, however often the same is revoked.
func TestRevocationsFileIsWrittenAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	var text strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&text, `{"user":"u%d","at":"2026-11-28T10:00:00Z"}`+"\n", i%7)
	}
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	v, err := kept(path)
	require.NoError(t, err)
	most := int64(0)
	for i := range 1100 {
		require.NoError(t, v.User(fmt.Sprint("u", i%7), time.Time{}))
		info, err := os.Stat(path)
		require.NoError(t, err)
		most = max(most, info.Size())
	}
	require.Less(t, most, int64(1100*60))
	v, err = kept(path)
	require.NoError(t, err)
	for i := range 7 {
		require.True(t, v.Revoked(&stream.Grant{User: fmt.Sprint("u", i), Issued: time.Now().Add(-time.Hour)}))
	}
}

// A file that was taken away or cut while it was in use is whole again after the next
// revocation; one to which somebody else has written is left alone.
func TestRevocationsOfAFileThatOthersTouch(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"removed": os.Remove,
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"cut":     func(path string) error { return os.Truncate(path, 20) },
	} {
		path := filepath.Join(t.TempDir(), "revoked")
		v, err := kept(path)
		require.NoError(t, err)
		require.NoError(t, v.User("tom", time.Time{}))
		require.NoError(t, spoil(path), name)
		require.NoError(t, v.User("ann", time.Time{}), name)
		v, err = kept(path)
		require.NoError(t, err, name)
		require.True(t, v.Revoked(&stream.Grant{User: "tom"}), name)
		require.True(t, v.Revoked(&stream.Grant{User: "ann"}), name)
	}

	path := filepath.Join(t.TempDir(), "revoked")
	one, err := kept(path)
	require.NoError(t, err)
	two, err := kept(path)
	require.NoError(t, err)
	require.NoError(t, one.User("tom", time.Time{}))
	require.ErrorContains(t, two.User("ann", time.Time{}), "somebody else")
	require.False(t, two.Revoked(&stream.Grant{User: "ann"}))
	again, err := kept(path)
	require.NoError(t, err)
	require.True(t, again.Revoked(&stream.Grant{User: "tom"}))
}

// What is revoked once more stays revoked as it was: neither a clock that was set back nor
// an end that comes sooner lets in whom the first one kept out, after a restart either.
func TestRevokingAgainTakesNothingBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	v, err := kept(path)
	require.NoError(t, err)
	now := time.Now()
	clock := now
	v.SetClock(func() time.Time { return clock })
	require.NoError(t, v.User("tom", time.Time{}))
	require.NoError(t, v.Grant("g", time.Time{}))
	require.NoError(t, v.User("ann", now.Add(2*time.Hour)))
	clock = now.Add(-24 * time.Hour) // set back
	require.NoError(t, v.User("tom", now.Add(time.Minute)))
	require.NoError(t, v.Grant("g", now.Add(time.Minute)))
	require.NoError(t, v.User("ann", now.Add(time.Hour)))
	check := func(v *auth.Revocations) {
		v.SetClock(func() time.Time { return now.Add(90 * time.Minute) })
		require.True(t, v.Revoked(&stream.Grant{User: "tom", Issued: now.Add(-time.Hour)}))
		require.True(t, v.Revoked(&stream.Grant{ID: "g"}))
		require.True(t, v.Revoked(&stream.Grant{User: "ann", Issued: now.Add(-time.Hour)}))
		v.SetClock(func() time.Time { return now.Add(3 * time.Hour) })
		require.False(t, v.Revoked(&stream.Grant{User: "ann", Issued: now.Add(-time.Hour)}))
	}
	check(v)
	again, err := kept(path)
	require.NoError(t, err)
	check(again)
}

// Whatever is in the file, it is read or refused, and what is read is kept as it was.
func FuzzRevocationsFile(f *testing.F) {
	f.Add([]byte(`{"user":"tom","at":"2026-11-28T10:00:00Z","until":"2099-01-01T00:00:00Z"}` + "\n" + `{"grant":"g","at":"2026-11-28T10:00:00Z"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "revoked")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		v, err := kept(path)
		if err != nil {
			return
		}
		require.NoError(t, v.User("one more", time.Time{}))
		again, err := kept(path)
		require.NoError(t, err)
		require.True(t, again.Revoked(&stream.Grant{User: "one more"}))
	})
}

package fresh_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/serve/internal/fresh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a value that is its file's text, under a clock moved by hand.
type bench struct {
	t      *testing.T
	path   string
	now    time.Time
	told   []error
	loaded int
	value  *fresh.Value[string]
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "file"), now: time.Unix(1_800_000_000, 0)}
	b.write("one")
	var err error
	b.value, err = fresh.New(func() (string, error) {
		b.loaded++
		text, err := os.ReadFile(b.path)
		if string(text) == "bad" {
			err = errors.New("bad text")
		}
		return string(text), err
	}, func(err error) { b.told = append(b.told, err) }, []string{b.path}, fresh.WithClock(func() time.Time { return b.now }))
	require.NoError(t, err)
	return b
}

// write replaces the file, as those do who must not be read half-way.
func (b *bench) write(text string) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(b.path+".new", []byte(text), 0o600))
	require.NoError(b.t, os.Rename(b.path+".new", b.path))
}

func TestValueFollowsItsFile(t *testing.T) {
	b := newBench(t)
	require.Equal(t, "one", b.value.Get())
	b.write("two")
	require.Equal(t, "one", b.value.Get(), "not looked at within a second")
	b.now = b.now.Add(time.Second)
	require.Equal(t, "two", b.value.Get())
	b.now = b.now.Add(time.Hour)
	require.Equal(t, "two", b.value.Get())
	require.Equal(t, 2, b.loaded, "not read again without a change")
}

func TestValueKeepsTheLastGood(t *testing.T) {
	b := newBench(t)
	b.write("bad")
	for range 3 {
		b.now = b.now.Add(time.Second)
		require.Equal(t, "one", b.value.Get())
	}
	require.Len(t, b.told, 1, "once for each change")
	require.NoError(t, os.Remove(b.path))
	b.now = b.now.Add(time.Second)
	require.Equal(t, "one", b.value.Get())
	require.Len(t, b.told, 2)
	require.ErrorIs(t, b.told[1], os.ErrNotExist)
	b.write("three")
	b.now = b.now.Add(time.Second)
	require.Equal(t, "three", b.value.Get())
	require.Len(t, b.told, 2)
}

func TestValueReload(t *testing.T) {
	b := newBench(t)
	b.write("two")
	require.NoError(t, b.value.Reload())
	require.Equal(t, "two", b.value.Get())
	b.write("bad")
	require.EqualError(t, b.value.Reload(), "bad text")
	require.Equal(t, "two", b.value.Get())
}

func TestValueRefusesABadBeginning(t *testing.T) {
	_, err := fresh.New(func() (int, error) { return 0, errors.New("no") }, nil, nil)
	require.EqualError(t, err, "no")
}

// While one goroutine reads the files anew, the others go on with the old value: a disk that hangs holds up one request.
func TestValueDoesNotWaitForItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	inside, goOn := make(chan struct{}), make(chan struct{})
	var now sync.Map
	now.Store(0, time.Unix(1_800_000_000, 0))
	calls := 0
	v, err := fresh.New(func() (int, error) {
		if calls++; calls == 2 {
			close(inside)
			<-goOn
		}
		return calls, nil
	}, nil, []string{path}, fresh.WithClock(func() time.Time { at, _ := now.Load(0); return at.(time.Time) }))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("longer"), 0o600))
	now.Store(0, time.Unix(1_800_000_100, 0))
	done := make(chan int)
	go func() { done <- v.Get() }()
	<-inside
	now.Store(0, time.Unix(1_800_000_200, 0))
	require.Equal(t, 1, v.Get())
	close(goOn)
	require.Equal(t, 2, <-done)
}

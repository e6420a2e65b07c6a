// Package fresh keeps values that are made of files, and makes them anew when the
// files change, without a goroutine or a restart.
package fresh

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// checkEvery is how often files are looked at, at most.
const checkEvery = time.Second

// Value is a value made of files. It may be used by many goroutines at once.
type Value[T any] struct {
	load   func() (T, error)
	report func(error)
	files  []string
	now    func() time.Time

	current atomic.Pointer[T]
	next    atomic.Int64 // time of the next look at the files, in Unix nanoseconds

	mu struct {
		sync.Mutex
		seen []stamp // of each file when it was last looked at
	}
}

// stamp tells a file from what was in its place before.
type stamp struct {
	info os.FileInfo // nil: it could not be looked at
}

// Option sets up a [Value].
type Option func(*config)

type config struct{ now func() time.Time }

// WithClock sets the clock, for tests.
func WithClock(now func() time.Time) Option { return func(c *config) { c.now = now } }

// New returns the value that load makes of the files; its error is load's. Once
// a file has changed, load is called again: where it fails, the value stays as it
// was, and report is told, once for each change. A nil report tells nobody.
func New[T any](load func() (T, error), report func(error), files []string, opts ...Option) (*Value[T], error) {
	c := config{now: time.Now}
	for _, o := range opts {
		o(&c)
	}
	if report == nil {
		report = func(error) {}
	}
	v := &Value[T]{load: load, report: report, files: files, now: c.now}
	v.mu.seen = v.look()
	made, err := load()
	if err != nil {
		return nil, err
	}
	v.current.Store(&made)
	v.next.Store(c.now().Add(checkEvery).UnixNano())
	return v, nil
}

// Get returns the value. Once a second at most it looks at the files first; who
// comes meanwhile gets the value of before and does not wait.
func (v *Value[T]) Get() T {
	if now := v.now(); now.UnixNano() >= v.next.Load() && v.mu.TryLock() {
		v.next.Store(now.Add(checkEvery).UnixNano())
		if seen := v.look(); !same(seen, v.mu.seen) {
			v.mu.seen = seen
			if err := v.remake(); err != nil {
				v.report(err)
			}
		}
		v.mu.Unlock()
	}
	return *v.current.Load()
}

// Reload makes the value anew, whether the files have changed or not. On an
// error, which is load's, it stays as it was.
func (v *Value[T]) Reload() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mu.seen = v.look()
	return v.remake()
}

// remake calls load. mu is held, so that an older value never follows a newer.
func (v *Value[T]) remake() error {
	made, err := v.load()
	if err == nil {
		v.current.Store(&made)
	}
	return err
}

// look takes the stamps of the files, before they are read: what changes while
// they are is seen the next time.
func (v *Value[T]) look() []stamp {
	seen := make([]stamp, len(v.files))
	for i, name := range v.files {
		seen[i].info, _ = os.Stat(name) // load says what is wrong with it
	}
	return seen
}

// same reports whether nothing has changed. A file that was replaced by one of
// the same size within the clock's grain is another by its number.
func same(a, b []stamp) bool {
	for i := range a {
		x, y := a[i].info, b[i].info
		if (x == nil) != (y == nil) {
			return false
		}
		if x != nil && (!os.SameFile(x, y) || x.Size() != y.Size() || !x.ModTime().Equal(y.ModTime())) {
			return false
		}
	}
	return true
}

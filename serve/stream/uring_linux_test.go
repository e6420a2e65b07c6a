package stream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// rings returns how many io_urings this process has, and how many sends have gone through them.
func rings(t testing.TB) (n, sends int) {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range dir {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); to != "anon_inode:[io_uring]" {
			continue
		}
		n++
		info, err := os.ReadFile("/proc/self/fdinfo/" + fd.Name())
		require.NoError(t, err)
		for line := range strings.Lines(string(info)) {
			if tail, ok := strings.CutPrefix(line, "SqTail:"); ok {
				taken, err := strconv.ParseUint(strings.TrimSpace(tail), 0, 32)
				require.NoError(t, err)
				sends += int(taken) - 1 // the one that tried the ring
			}
		}
	}
	return n, sends
}

// A hub has a ring for each shard, through which its events go, and none once it is closed.
func TestRingsAreUsedAndGivenBack(t *testing.T) {
	before, _ := rings(t)
	s := newSite(t, mode{name: "raw-uring", uring: true}, setup{hub: []engine.HubOption{engine.WithShards(3)}})
	n, sends := rings(t)
	require.Equal(t, before+3, n)
	const streams, events = 12, 20
	var followers []*follower
	for range streams {
		followers = append(followers, s.open(""))
	}
	s.online(streams)
	for i := range events {
		s.push("", fmt.Sprint(i))
	}
	for _, st := range followers {
		for i := range events {
			st.expect(fmt.Sprint(i))
		}
	}
	_, after := rings(t)
	require.Positive(t, after-sends, "sends went through the rings")
	s.hub.Close()
	n, _ = rings(t)
	require.Equal(t, before, n)
}

// What the system says is explained.
func TestWhyThereIsNoIOUring(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EPERM: "kernel.io_uring_disabled", syscall.ENOSYS: "Linux 5.18", syscall.EINVAL: "Linux 5.18",
		syscall.EMFILE: "descriptor", syscall.ENOMEM: "ulimit -l", errors.ErrUnsupported: "Linux",
	} {
		require.Contains(t, stream.WhyNoIOUring(os.NewSyscallError("io_uring_setup", err)), want)
	}
	require.Empty(t, stream.WhyNoIOUring(io.ErrUnexpectedEOF))
}

// countedWrites counts what the batches of a hub take.
type countedWrites struct {
	engine.BatchWriter
	taken, refused *atomic.Int64
}

func (w countedWrites) Add(s engine.Sink, p []byte) bool {
	if w.BatchWriter.Add(s, p) {
		w.taken.Add(1)
		return true
	}
	w.refused.Add(1)
	return false
}

// Plain streams, with sessions and without, and those that a context ends, are written to in batches; those over TLS and
// portable ones are not.
func TestWhichStreamsAreWrittenInBatches(t *testing.T) {
	requireIOUring(t)
	expiring := func(r *http.Request) context.Context {
		if r.URL.Query().Get("uid") != "leashed" {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		t.Cleanup(cancel)
		return ctx
	}
	for _, c := range []struct {
		mode  mode
		taken bool
	}{
		{mode{name: "raw"}, true}, {mode{name: "raw-gzip", coding: "gzip"}, true},
		{mode{name: "raw-tls", tls: true, ours: true}, false}, {mode{name: "portable", portable: true}, false},
	} {
		t.Run(c.mode.name, func(t *testing.T) {
			var taken, refused atomic.Int64
			with := setup{options: []stream.Option{stream.WithContext(expiring)},
				hub: []engine.HubOption{engine.WithShards(1), engine.WithBatchWriter(func() (engine.BatchWriter, error) {
					w, err := stream.IOUring()
					return countedWrites{w, &taken, &refused}, err
				})}}
			g := newGuarded(t, c.mode, with)
			g.desk.set("a", stream.Grant{User: "u", Expires: time.Now().Add(time.Hour)})
			bare := newSite(t, c.mode, with)
			streams := []*follower{g.open("", "Authorization", "a"), bare.open("uid=u"), bare.open("uid=leashed")}
			g.online(1)
			bare.online(2)
			for i := range 20 {
				g.push("", fmt.Sprint(i))
				bare.push("", fmt.Sprint(i))
			}
			for _, st := range streams {
				for i := range 20 {
					st.expect(fmt.Sprint(i))
				}
			}
			if c.taken {
				require.Zero(t, refused.Load())
				require.Positive(t, taken.Load())
			} else {
				require.Zero(t, taken.Load())
			}
		})
	}
}

// Exactly-once through batches, over real sockets: streams of all, of topics and of users, of which some read so slowly that
// their sockets are full in the middle of a run, and some hang up.
func TestExactlyOnceInBatches(t *testing.T) {
	const streams, topics, events = 150, 4, 400
	s := newSite(t, mode{name: "raw-uring", uring: true}, setup{control: shrink,
		hub: []engine.HubOption{engine.WithShards(2), engine.WithLog(persist.NewMemory())}})
	pad := noise(600)
	want := func(stream, event int) bool {
		switch event % 3 {
		case 0:
			return true
		case 1:
			return event/3%topics == stream%topics
		default:
			return event/3%streams == stream
		}
	}
	var reading sync.WaitGroup
	begin := make(chan struct{})
	for i := range streams {
		st := s.open(fmt.Sprintf("uid=u%d&topic=t%d", i, i%topics))
		if i%10 == 9 {
			defer st.close() // it reads nothing
			continue
		}
		reading.Go(func() {
			if i%3 == 0 {
				<-begin // all has been pushed
			}
			got := make([]string, 0, events)
			for last := ""; last != "end"; {
				e, err := st.events.Next()
				if err != nil {
					t.Error(i, err)
					return
				}
				last, _, _ = strings.Cut(e.Data.(string), " ")
				got = append(got, last)
			}
			var all []string
			for n := range events {
				if want(i, n) {
					all = append(all, fmt.Sprint(n))
				}
			}
			if !slices.Equal(append(all, "end"), got) {
				t.Errorf("stream %d got %v", i, got)
			}
		})
	}
	s.online(streams)
	for n := range events {
		e := &wire.Event{Data: fmt.Sprint(n, " ", pad)}
		var uids []string
		switch n % 3 {
		case 1:
			e.Topic = fmt.Sprint("t", n/3%topics)
		case 2:
			uids = []string{fmt.Sprint("u", n/3%streams)}
		}
		require.NoError(t, s.hub.Push(uids, e))
	}
	s.push("", "end")
	close(begin)
	reading.Wait()
}

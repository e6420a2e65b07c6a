package client_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// store is a Checkpoint in memory that notes its calls.
type store struct {
	mu    sync.Mutex
	id    string
	saves []string
	err   error // of the next Save
}

func (s *store) Load(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id, s.err
}

func (s *store) Save(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.err; err != nil {
		s.err = nil
		return err
	}
	s.id = id
	s.saves = append(s.saves, id)
	return nil
}

func (s *store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *store) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.saves...)
}

const three = "id: 1\ndata: a\n\nid: 2\ndata: b\n\ndata: c\n\nid: 3\ndata: d\n\n"

// What a crash in the middle of an event finds saved: with AtLeastOnce the event
// before, with AtMostOnce the event itself, with ManualAck what was acknowledged.
func TestDeliveryAroundACrash(t *testing.T) {
	for name, tc := range map[string]struct {
		mode client.Delivery
		want []string // saved, while each event is being handled
	}{
		"at least once": {client.AtLeastOnce, []string{"0", "1", "2", "2"}},
		"at most once":  {client.AtMostOnce, []string{"1", "2", "2", "3"}},
		"by hand":       {client.ManualAck, []string{"0", "0", "2", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, inLoop := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					cp := &store{id: "0"}
					srv := newServer(t, streamAndStay(three))
					opts := []client.Option{client.WithCheckpoint(cp, tc.mode)}
					if tc.mode != client.AtMostOnce {
						opts = append(opts, client.WithCheckpointInterval(0))
					}
					c := srv.newClient(t, opts...)
					var seen []string
					handle := func(e *wire.Event) {
						id, _ := cp.Load(t.Context())
						seen = append(seen, id)
						if tc.mode == client.ManualAck && e.ID == "2" && e.Data == "b" {
							require.NoError(t, c.Ack(e.ID))
						}
					}
					if inLoop {
						for e, err := range c.Events(t.Context()) {
							require.NoError(t, err)
							if handle(e); len(seen) == 4 {
								break
							}
						}
					} else {
						c.OnEvent("", handle)
						require.NoError(t, c.Connect())
						elapse(time.Minute)
						c.Disconnect()
					}
					<-c.Wait()
					require.Equal(t, tc.want, seen)
					require.Equal(t, "0", srv.got()[0].header.Get("Last-Event-ID"))
					last := map[client.Delivery]string{client.AtLeastOnce: "3", client.AtMostOnce: "3", client.ManualAck: "2"}[tc.mode]
					if inLoop && tc.mode == client.AtLeastOnce {
						last = "2" // a loop that is left has not handled its last event
					}
					require.Equal(t, last, cp.id)
				})
			}
		})
	}
}

// A fast stream does not cost a Save for each event, and the last position is
// saved all the same: by the clock, and by the end.
func TestCheckpointInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		for range 1000 {
			text.WriteString("id: 7\ndata: x\n\nid: 8\ndata: x\n\n")
		}
		cp := &store{}
		c := newServer(t, streamAndStay(text.String())).newClient(t, client.WithCheckpoint(cp, client.AtLeastOnce), client.WithCheckpointInterval(time.Minute))
		require.NoError(t, c.Connect())
		elapse(59 * time.Second)
		require.Equal(t, []string{"7"}, cp.got(), "the first at once")
		elapse(time.Second)
		require.Equal(t, []string{"7", "8"}, cp.got())
		elapse(time.Hour)
		require.Len(t, cp.got(), 2, "nothing new, nothing saved")
	})
	synctest.Test(t, func(t *testing.T) {
		cp := &store{}
		c := newServer(t, streamAndStay(three)).newClient(t, client.WithCheckpoint(cp, client.AtLeastOnce), client.WithCheckpointInterval(time.Hour))
		require.NoError(t, c.Connect())
		elapse(time.Minute)
		c.Disconnect()
		<-c.Wait()
		require.Equal(t, []string{"1", "3"}, cp.got())
		elapse(2 * time.Hour)
		require.Len(t, cp.got(), 2)
	})
}

// A position that cannot be saved is told and tried again; where nothing may be
// handed out before it is saved, it ends the client.
func TestCheckpointFails(t *testing.T) {
	errFull := errors.New("disk full")
	synctest.Test(t, func(t *testing.T) {
		cp := &store{}
		c := newServer(t, streamAndStay(three)).newClient(t, client.WithCheckpoint(cp, client.AtLeastOnce), client.WithCheckpointInterval(0))
		var told []error
		c.OnError(func(err error) { told = append(told, err) })
		c.OnOpen(func(http.Header) { cp.fail(errFull) })
		require.NoError(t, c.Connect())
		elapse(time.Minute)
		require.Len(t, told, 1)
		require.ErrorIs(t, told[0], errFull)
		var fault *client.CheckpointError
		require.ErrorAs(t, told[0], &fault)
		require.Equal(t, []string{"2", "3"}, cp.got())
	})
	synctest.Test(t, func(t *testing.T) { // by the timer, and by the end
		cp := &store{}
		c := newServer(t, streamEvery(10*time.Minute, 2, three)).newClient(t, client.WithCheckpoint(cp, client.AtLeastOnce), client.WithCheckpointInterval(time.Minute))
		var told []error
		c.OnError(func(err error) { told = append(told, err) })
		require.NoError(t, c.Connect())
		elapse(10*time.Minute + time.Second)
		cp.fail(errFull)
		elapse(time.Minute)
		require.Equal(t, []string{"1"}, cp.got())
		elapse(time.Minute)
		require.Equal(t, []string{"1", "3"}, cp.got())
		elapse(10 * time.Minute)
		require.NotEmpty(t, told)
		require.ErrorIs(t, told[0], errFull)
		c.Disconnect()
		<-c.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		cp := &store{}
		c := newServer(t, streamAndStay(three)).newClient(t, client.WithCheckpoint(cp, client.AtLeastOnce), client.WithCheckpointInterval(time.Hour))
		require.NoError(t, c.Connect())
		elapse(time.Minute)
		cp.fail(errFull)
		c.Disconnect()
		<-c.Wait()
		require.ErrorIs(t, c.Err(), errFull, "the last position is lost, and that is said")
	})
	synctest.Test(t, func(t *testing.T) {
		cp := &store{}
		c := newServer(t, streamAndStay(three)).newClient(t, client.WithCheckpoint(cp, client.AtMostOnce))
		n := 0
		c.OnOpen(func(http.Header) { cp.fail(errFull) })
		c.OnEvent("", func(*wire.Event) { n++ })
		require.NoError(t, c.Connect())
		<-c.Wait()
		require.ErrorIs(t, c.Err(), errFull)
		require.Zero(t, n)
		require.Empty(t, c.LastEventID())
	})
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, streamAndStay(three)).newClient(t, client.WithCheckpoint(&store{err: errFull}, client.AtMostOnce))
		require.ErrorIs(t, c.Connect(), errFull, "which it could not load")
	})
}

// hanging is a store whose Save does not come back before its context ends.
type hanging struct{ store }

func (h *hanging) Save(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// A store that hangs delays the end by its bound, and no longer.
func TestCheckpointHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, streamAndStay(three)).newClient(t, client.WithCheckpoint(&hanging{}, client.AtMostOnce))
		begin := time.Now()
		require.NoError(t, c.Connect())
		synctest.Wait()
		c.Disconnect()
		<-c.Wait()
		require.Equal(t, 10*time.Second, time.Since(begin))
	})
}

func TestAckNeedsItsMode(t *testing.T) {
	c := client.NewClient("http://hub.test/")
	require.ErrorContains(t, c.Ack("1"), "ManualAck")
	c.Disconnect()
	cp := &store{}
	c = client.NewClient("http://hub.test/", client.WithCheckpoint(cp, client.ManualAck))
	c.Disconnect()
	require.NoError(t, c.Ack("1"), "also after the end")
	require.NoError(t, c.Ack("1"))
	require.Equal(t, []string{"1"}, cp.got())
}

// A file is the old or the new position, and what is no checkpoint is refused.
func TestFileCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "position")
	cp := client.NewFileCheckpoint(path)
	id, err := cp.Load(t.Context())
	require.NoError(t, err)
	require.Empty(t, id)
	for _, want := range []string{"1763849500123456", "é 2", "", strings.Repeat("x", 1000)} {
		require.NoError(t, cp.Save(t.Context(), want))
		id, err = client.NewFileCheckpoint(path).Load(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, id)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, files, 1, "nothing is left behind")

	require.NoError(t, os.WriteFile(path+".new", []byte("half a wr"), 0o600)) // a crash before the rename
	id, err = cp.Load(t.Context())
	require.NoError(t, err)
	require.Len(t, id, 1000)
	require.NoError(t, cp.Save(t.Context(), "next"))

	for _, bad := range []string{"a\nb", "a\x00", strings.Repeat("x", 1<<16)} {
		require.ErrorContains(t, cp.Save(t.Context(), bad), path)
	}
	for _, bad := range []string{"", "1", "1\n2\n", "\r\n", strings.Repeat("x", 1<<16) + "\n"} {
		require.NoError(t, os.WriteFile(path, []byte(bad), 0o600))
		_, err = cp.Load(t.Context())
		require.ErrorContains(t, err, path+" is no checkpoint")
	}
	require.Error(t, client.NewFileCheckpoint(filepath.Join(path, "x")).Save(t.Context(), "1"))
	_, err = client.NewFileCheckpoint(filepath.Join(path+".d", "x")).Load(t.Context())
	require.ErrorContains(t, err, path+".d", "told before the first event, not after it")
}

package natstest_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spatehub/spate/cluster/jetstream/natstest"
	"github.com/stretchr/testify/require"
)

// cpuOf is the processor time of a process.
func cpuOf(t testing.TB, pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// audience is connections to one hub that read what comes and tell how late it is.
type audience struct {
	got     atomic.Int64
	mu      sync.Mutex
	late    []time.Duration // of every 10th event of a connection
	measure atomic.Bool
}

func (a *audience) join(t testing.TB, hub *natstest.Hub, n int) {
	for range n {
		c, err := net.Dial("tcp", strings.TrimPrefix(hub.URL, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		_, err = io.WriteString(c, "GET /events?uid=u HTTP/1.1\r\nHost: "+strings.TrimPrefix(hub.URL, "http://")+"\r\n\r\n")
		require.NoError(t, err)
		go a.read(c)
	}
}

// read reads until the connection ends. The data of an event begins with when it was
// pushed.
func (a *audience) read(c net.Conn) {
	buf := make([]byte, 16<<10)
	for n := 0; ; {
		k, err := c.Read(buf)
		if err != nil {
			return
		}
		now := time.Now()
		for rest := buf[:k]; ; n++ {
			at := bytes.Index(rest, []byte("data: at "))
			if at < 0 {
				break
			}
			rest = rest[at+len("data: at "):]
			a.got.Add(1)
			if text, _, ok := bytes.Cut(rest, []byte(" ")); ok && n%10 == 0 && a.measure.Load() {
				if ns, err := strconv.ParseInt(string(text), 10, 64); err == nil {
					a.mu.Lock()
					a.late = append(a.late, now.Sub(time.Unix(0, ns)))
					a.mu.Unlock()
				}
			}
		}
	}
}

// figuresSockets compares what a delivery over a real socket costs the process of a hub
// that follows, to which others push, with what it costs the process of a hub that is
// alone and does not sync.
func figuresSockets(t *testing.T, perSecond int) {
	const streams, seconds = 1000, 12
	dir := t.TempDir()
	servers := natstest.Start(t, 1)
	plan := func(name string, flags ...string) natstest.Plan {
		return natstest.Plan{Data: filepath.Join(dir, name), Flags: flags}
	}
	member, other, alone := plan("member", "--cluster-replicas", "1"), plan("other", "--cluster-replicas", "1"), plan("alone", "--no-sync")
	member.Servers, other.Servers = []string{servers.URL()}, []string{servers.URL()}
	hubs := natstest.StartPlanned(t, natstest.Spate(t), []natstest.Plan{member, other, alone}).Hubs
	measure := func(reader, pushed *natstest.Hub, a *audience) (perDelivery time.Duration, p50, p99 time.Duration) {
		filler := strings.Repeat("x", 180)
		begin := time.Now()
		before, got := cpuOf(t, reader.PID()), a.got.Load()
		a.mu.Lock()
		a.late = a.late[:0]
		a.mu.Unlock()
		a.measure.Store(true)
		var pushing sync.WaitGroup
		for i := range perSecond * seconds {
			<-time.After(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(perSecond))))
			pushing.Go(func() {
				res, err := http.Post(pushed.URL+"/push", "application/json", strings.NewReader(fmt.Sprintf(`{"events":[{"data":"at %d %s"}]}`, time.Now().UnixNano(), filler)))
				if err == nil {
					res.Body.Close()
				}
			})
		}
		pushing.Wait()
		want := got + int64(streams*perSecond*seconds)
		eventually(t, func() bool { return a.got.Load() >= want })
		a.measure.Store(false)
		cpu := cpuOf(t, reader.PID()) - before
		a.mu.Lock()
		defer a.mu.Unlock()
		slices.Sort(a.late)
		return cpu / time.Duration(a.got.Load()-got), a.late[len(a.late)/2], a.late[len(a.late)*99/100]
	}
	var atMember, atAlone audience
	atMember.join(t, hubs[0], streams)
	atAlone.join(t, hubs[2], streams)
	pause(2 * time.Second) // who is new is let in
	var ratios []float64
	for round := range 4 {
		one, a50, a99 := measure(hubs[2], hubs[2], &atAlone)
		two, m50, m99 := measure(hubs[0], hubs[1], &atMember)
		t.Logf("a delivery, %d streams of %d events a second: alone %v, p50 %v, p99 %v; in a cluster, pushed at another hub: %v, p50 %v, p99 %v", streams, perSecond, one, a50, a99, two, m50, m99)
		if round > 0 {
			ratios = append(ratios, float64(two)/float64(one))
		}
	}
	t.Logf("processor time of a delivery in a cluster against alone: %s", spread(ratios))
}

//go:build linux

package rig_test

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// faulty is a server that makes one mistake of each kind in every 20 events, and cuts its frames into chunks anywhere.
type faulty struct {
	mu      sync.Mutex
	streams []chan []byte
	n       int
	held    []byte
}

func newFaulty(server.Options) (server.Server, error) { return &faulty{}, nil }

func (f *faulty) Serve(ln net.Listener) error {
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ch := make(chan []byte, 1000)
		f.mu.Lock()
		f.streams = append(f.streams, ch)
		f.mu.Unlock()
		c := http.NewResponseController(w)
		_ = c.Flush()
		for part := 1; ; part++ {
			select {
			case <-r.Context().Done():
				return
			case frame := <-ch:
				for len(frame) > 0 {
					n := min(len(frame), 1+part%97)
					_, _ = w.Write(frame[:n])
					_ = c.Flush()
					frame = frame[n:]
				}
			}
		}
	}))
}

func (f *faulty) Publish(_ stamp.Kind, _ uint32, data []byte) error {
	frame := fmt.Appendf(nil, "data: %s\n\n", data)
	f.n++
	switch f.n % 20 {
	case 3: // lost
		return nil
	case 7: // doubled
		f.send(frame)
	case 11: // out of order
		f.held = frame
		return nil
	case 12:
		f.send(frame)
		frame = f.held
	case 15: // corrupt
		frame[len(frame)-3] = 'y'
	case 17: // misaddressed
		s, _, _ := stamp.ParseHead(data)
		s.Index = 5
		frame = fmt.Appendf(nil, "data: %s\n\n", stamp.Append(nil, s))
	case 19: // foreign
		s, _, _ := stamp.ParseHead(data)
		s.Run += 1000
		frame = fmt.Appendf(nil, "data: %s\n\n", stamp.Append(nil, s))
	}
	f.send(frame)
	return nil
}

func (f *faulty) send(frame []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ch := range f.streams {
		ch <- frame
	}
}

// TestFaultsAreCounted: whatever a server does wrong is in the figures, each fault once.
func TestFaultsAreCounted(t *testing.T) {
	const streams, events, rounds = 5, 200, 10
	r, err := rig.New("faulty", rig.Load{Streams: streams, Kind: stamp.Broadcast})
	require.NoError(t, err)
	defer r.Close()
	_, err = r.Connect(8)
	require.NoError(t, err)
	f, err := r.Run(rig.Work{Rate: 1000, Events: events, Size: 150, Duration: time.Second})
	require.NoError(t, err)
	require.EqualValues(t, rounds*streams, f.Duplicates)
	require.EqualValues(t, rounds*streams, f.Disorder)
	require.EqualValues(t, rounds*streams, f.Corrupt)
	require.EqualValues(t, rounds*streams, f.Misaddressed)
	require.EqualValues(t, rounds*streams, f.Foreign)
	require.EqualValues(t, 4*rounds*streams, f.Lost, "what is lost, corrupt, misaddressed or foreign has not come")
	require.EqualValues(t, events*streams-f.Lost, f.Deliveries)
	require.Contains(t, f.Faults(), "50 doubled")
}

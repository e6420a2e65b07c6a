package main

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// toldOf is how a stream was told its end.
type toldOf struct {
	marker int // the last one before it, -1 for none
	retry  int // milliseconds
}

// watchEnd reads a stream of markers to its disconnect event.
func watchEnd(c net.Conn) (told toldOf, err error) {
	told = toldOf{marker: -1}
	event := ""
	for lines := bufio.NewScanner(c); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			event = value
		case "retry":
			if told.retry, err = strconv.Atoi(value); err != nil {
				return told, err
			}
		case "data":
			if event == "disconnect" {
				return told, nil
			}
			if told.marker, err = strconv.Atoi(value); err != nil {
				return told, err
			}
			event = ""
		}
	}
	return told, fmt.Errorf("the stream ended without a word after marker %d", told.marker)
}

// A drain of two thousand streams over real sockets tells every one, in turn: between one event and the next, no more than
// a share of them, and each with a reconnection time of its own. What counts is the order of events, no clock.
func TestADrainIsSpreadOverRealStreams(t *testing.T) {
	const streams, spread = 2000, 4 * time.Second
	s := startServe(t, "--memory", "--drain-spread", spread.String(), "--retry-window", "1s..9s")
	told := make([]toldOf, streams)
	errs := make([]error, streams)
	var reading sync.WaitGroup
	for i := range streams {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.base, "http://"))
		require.NoError(t, err)
		defer c.Close()
		_, err = fmt.Fprint(c, "GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		reading.Go(func() { told[i], errs[i] = watchEnd(c) })
	}
	require.Eventually(t, func() bool {
		_, body := s.get("/stats")
		return strings.Contains(body, fmt.Sprintf(`"clients": %d`, streams))
	}, patience, tick)

	all := make(chan struct{})
	go func() { reading.Wait(); close(all) }()
	status, _ := s.do("POST", "/drain", "")
	require.Equal(t, 202, status)
	last := -1
	for n := 0; ; n++ {
		status, body := s.do("POST", "/push", fmt.Sprintf(`{"events":[{"event":"marker","data":"%d"}]}`, n), "Content-Type", asJSON)
		require.Equal(t, 200, status, "pushes are taken while the hub drains: %s", body)
		last = n
		select {
		case <-all:
		case <-time.After(50 * time.Millisecond):
			continue
		}
		break
	}
	after, retries := map[int]int{}, map[int]bool{}
	for i := range streams {
		require.NoError(t, errs[i])
		after[told[i].marker]++
		retries[told[i].retry] = true
		require.GreaterOrEqual(t, told[i].retry, 1000)
		require.LessOrEqual(t, told[i].retry, 9001)
	}
	require.Greater(t, len(retries), streams/2, "they do not come back together")
	for marker, n := range after {
		require.LessOrEqual(t, n, streams/3, "told between marker %d and the next", marker)
	}
	t.Logf("%d streams told in %d of %d intervals", streams, len(after), last+1)
	require.Equal(t, exitOK, s.stop(), s.err.String())
}

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A signal ends a command that waits for its standard input, on which nothing comes, and the message says what was done.
func TestASignalEndsWhatWaitsForInput(t *testing.T) {
	hub := startServe(t, "--memory")
	into := filepath.Join(t.TempDir(), "log")
	for _, c := range []struct {
		args  []string
		first string // what comes before the signal
		want  string
	}{
		{[]string{"push", "--url", hub.base, "-"}, "data", "spate push: reading the data: ended by a signal; nothing was pushed\n"},
		{[]string{"push", "--url", hub.base, "--lines"}, "one\ntw", "spate push: reading the data: ended by a signal; the lines before line 2 are pushed\n"},
		{[]string{"log", "import", into}, "", "spate log: ended by a signal; 0 events are in " + into + "\n"},
	} {
		in, feed := io.Pipe()
		signals := make(chan os.Signal, 1)
		var out, errs safeBuffer
		ended := make(chan int)
		go func() {
			ended <- run(c.args, streams{in: in, out: &out, err: &errs, env: environment(), signals: signals})
		}()
		_, err := io.WriteString(feed, c.first)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return strings.Count(out.String(), "\n") == strings.Count(c.first, "\n") }, patience, tick, "what comes before the signal is pushed")
		signals <- syscall.SIGINT
		require.Equal(t, exitFailed, <-ended, c.args)
		require.Equal(t, c.want, errs.String())
		feed.Close()
	}
}

// A signal that nothing heeds, as the command hangs, does not keep the next one from ending it.
func TestSignalsThatNothingHeeds(t *testing.T) {
	from, to, ends := make(chan os.Signal), make(chan os.Signal, 1), 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		relay(from, to, func() { ends++ })
	}()
	from <- syscall.SIGINT
	require.Equal(t, syscall.SIGINT, <-to, "it is heeded")
	from <- syscall.SIGTERM
	from <- syscall.SIGINT
	close(from)
	<-done
	require.Equal(t, 1, ends)
	require.Equal(t, syscall.SIGTERM, <-to)
	for _, name := range []string{"config", "token", "health", "version"} {
		signals, hangups := signaled(name)
		require.Nil(t, signals, "%s ends as programs do", name)
		require.Nil(t, hangups)
	}
}

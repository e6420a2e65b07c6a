// Package examples_test builds every example and runs those that take an address.
package examples_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/client"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), // idle connections of http.DefaultClient
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	)
}

// build builds all examples and returns the folder of the binaries.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-race", "-ldflags=-w", "-o", dir, "./...").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, name := range []string{"server", "client", "nethttp", "mapstore", "answers", "board", "progress", "chat"} {
		require.FileExists(t, filepath.Join(dir, name))
	}
	return dir
}

// start runs an example until the test's end and returns its address.
func start(t *testing.T, bin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(bin, append([]string{"-listen", "127.0.0.1:0"}, args...)...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	_, base, found := strings.Cut(strings.TrimSpace(line), "listening on ")
	require.True(t, found, line)
	return base
}

func post(t *testing.T, url, kind, body string) {
	t.Helper()
	res, err := http.Post(url, kind, strings.NewReader(body))
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Less(t, res.StatusCode, 300, "%s", text)
}

// read returns the data of the first n events after an ID.
func read(t *testing.T, url, lastID string, n int) (data []string, last string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for e, err := range client.NewClient(url, client.WithLastEventID(lastID)).Events(ctx) {
		require.NoError(t, err, "after %q", data)
		data = append(data, e.Data.(string))
		if last = e.ID; len(data) == n {
			return data, last
		}
	}
	require.FailNow(t, "the stream ended", "after %q", data)
	return nil, ""
}

func TestExamples(t *testing.T) {
	dir := build(t)

	t.Run("nethttp", func(t *testing.T) {
		base := start(t, filepath.Join(dir, "nethttp"), "-data", filepath.Join(t.TempDir(), "data"))
		first := make(chan string, 1)
		go func() {
			_, id := read(t, base+"/events?user=alice", "", 1)
			first <- id
		}()
		// The order comes again until the stream, which begins live, is there.
		var id string
		require.Eventually(t, func() bool {
			post(t, base+"/order?user=alice", "text/plain", "one book")
			select {
			case id = <-first:
				return true
			default:
				return false
			}
		}, time.Minute, 10*time.Millisecond)
		post(t, base+"/order?user=alice", "text/plain", "two books")
		data, _ := read(t, base+"/events?user=alice", id, 1)
		require.Contains(t, []string{"one book", "two books"}, data[0])
	})

	t.Run("answers", func(t *testing.T) {
		base := start(t, filepath.Join(dir, "answers"))
		res, err := http.PostForm(base+"/ask", url.Values{"q": {"why"}})
		require.NoError(t, err)
		var reply struct{ Answer string }
		require.NoError(t, json.NewDecoder(res.Body).Decode(&reply))
		res.Body.Close()
		answer := base + "/answers?answer=" + reply.Answer
		begun, id := read(t, answer, "earliest", 3) // and the page is reloaded
		whole, _ := read(t, answer, "earliest", 15)
		require.Equal(t, "You asked: why. ", strings.Join(begun, ""))
		require.Equal(t, "You asked: why. This is an answer that takes its time, word by word. stop", strings.Join(whole, ""))
		rest, _ := read(t, answer, id, 12)
		require.Equal(t, whole[3:], rest, "a connection that was lost goes on")
	})

	t.Run("board", func(t *testing.T) {
		base := start(t, filepath.Join(dir, "board"), "-every", "1ms")
		seen := map[string]bool{}
		data, _ := read(t, base+"/prices", "earliest", 40)
		for _, d := range data {
			var price struct{ Name string }
			require.NoError(t, json.Unmarshal([]byte(d), &price))
			seen[price.Name] = true
		}
		require.Len(t, seen, 4)
	})

	t.Run("progress", func(t *testing.T) {
		base := start(t, filepath.Join(dir, "progress"))
		res, err := http.Post(base+"/jobs", "", nil)
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, http.StatusAccepted, res.StatusCode)
		events := base + strings.TrimSuffix(res.Header.Get("Location"), "?last_event_id=earliest")
		steps, _ := read(t, events, "earliest", 6)
		require.Equal(t, `{"percent":0}`, steps[0])
		require.Equal(t, `{"result":"/files/report.pdf"}`, steps[5])
		again, _ := read(t, events, "earliest", 6)
		require.Equal(t, steps, again, "who comes later gets all of it")
		res, err = http.Get(base + "/jobs/2/events")
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, http.StatusNotFound, res.StatusCode)
	})

	t.Run("chat", func(t *testing.T) {
		base := start(t, filepath.Join(dir, "chat"))
		data, last := read(t, base+"/room?name=ann", "earliest", 2) // ann comes: the hub's reset, and her join
		require.JSONEq(t, `{"uid":"ann"}`, data[1])
		data, last = read(t, base+"/room?name=bob", last, 2) // ann has gone, and bob comes
		require.ElementsMatch(t, []string{`{"uid":"ann"}`, `{"uid":"bob"}`}, data)
		post(t, base+"/say?name=bob&text=hello", "", "")
		for said := ""; said != `{"name":"bob","text":"hello"}`; {
			data, last = read(t, base+"/room?name=bob", last, 1)
			said = data[0]
		}
		res, err := http.Get(base + "/who")
		require.NoError(t, err)
		defer res.Body.Close()
		var names []string
		require.NoError(t, json.NewDecoder(res.Body).Decode(&names))
		require.NotContains(t, names, "ann")
	})

	t.Run("client", func(t *testing.T) {
		base := start(t, filepath.Join(dir, "mapstore"))
		position := filepath.Join(t.TempDir(), "position")
		push := func(text string) {
			post(t, base+"/push", "application/json", `{"events":[{"data":"`+text+`"}]}`)
		}
		// life runs the program until it has printed text, interrupts it, and returns what it printed.
		life := func(text string, begun func()) (printed string) {
			cmd := exec.Command(filepath.Join(dir, "client"), "-url", base+"/events", "-position", position)
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			defer func() { _ = cmd.Process.Kill() }()
			lines := bufio.NewScanner(stdout)
			for lines.Scan() {
				printed += lines.Text() + "\n"
				if strings.Contains(lines.Text(), "started") {
					begun()
				}
				if strings.Contains(lines.Text(), text) {
					require.NoError(t, cmd.Process.Signal(os.Interrupt))
				}
			}
			require.NoError(t, cmd.Wait(), printed)
			return printed
		}
		life("one", func() { push("one") })
		push("two")
		printed := life("three", func() { push("three") })
		require.NotContains(t, printed, "one")
		require.Contains(t, printed, "two", "what came between its lives")
	})

	t.Run("mapstore", func(t *testing.T) {
		base := start(t, filepath.Join(dir, "mapstore"))
		push := func(uids, text string) {
			post(t, base+"/push", "application/json", `{`+uids+`"events":[{"data":"`+text+`"}]}`)
		}
		anchor := make(chan string, 1)
		go func() {
			_, id := read(t, base+"/events?uid=u1", "", 1)
			anchor <- id
		}()
		var id string
		require.Eventually(t, func() bool {
			push("", "anchor")
			select {
			case id = <-anchor:
				return true
			default:
				return false
			}
		}, time.Minute, 10*time.Millisecond)
		push(`"uids":["u2"],`, "for u2")
		push(`"uids":["u1"],`, "for u1")
		push("", "the end")
		var got []string
		for len(got) == 0 || got[len(got)-1] != "the end" {
			var data []string
			data, id = read(t, base+"/events?uid=u1", id, 1)
			got = append(got, data...)
		}
		require.Contains(t, got, "for u1")
		require.NotContains(t, got, "for u2")
	})
}

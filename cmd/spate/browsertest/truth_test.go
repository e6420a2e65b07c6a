package browsertest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pause is for how long the hub of TestDelaysAreTrue stands still: just above the bound of a bucket, so that what it delays
// lies between 2^21 µs and twice that.
const (
	pause     = 2150 * time.Millisecond
	pauseLow  = float64(1<<21) / 1e3 // ms
	pausePush = 64                   // pushers at a time; the hub measures one push in 16
)

// delay is the value in ms of a series of one of the charts of delays, -1 where none is shown.
func delay(chart, series string) string {
	return fmt.Sprintf(`((text) => text === "–" ? -1 : parseFloat(text) * { "µs": 0.001, ms: 1, s: 1000 }[text.split(" ")[1]])(%s)`, legend(chart, series))
}

// TestDelaysAreTrue: pushes that a hub which stands still for two seconds holds up are shown with that delay, and none is
// shown that is longer than those who push found.
func TestDelaysAreTrue(t *testing.T) {
	inOneBrowser(t, func(t *testing.T, open func() tab) {
		h := startPlain(t)
		page := open()
		page.navigate(t, h.base+"/")
		await(t, page, shown("overview")+` && `+live)
		var longest atomic.Int64
		end, failed := make(chan struct{}), make(chan error, pausePush)
		var pushing sync.WaitGroup
		for range pausePush {
			pushing.Go(func() {
				for {
					select {
					case <-end:
						return
					default:
					}
					began := time.Now()
					if _, err := push(t.Context(), h.base, map[string]any{"data": "x"}); err != nil {
						failed <- err
						return
					}
					for took, was := int64(time.Since(began)), longest.Load(); took > was && !longest.CompareAndSwap(was, took); was = longest.Load() {
					}
				}
			})
		}
		defer pushing.Wait()
		defer close(end)
		const log, sent = "until the log has it", "until it is sent"
		const p50, p99 = "Push to socket, median", "Push to socket, 99th percentile"
		await(t, page, delay(p50, log)+` > 0 && `+delay(p99, log)+` > 0`)
		before := get[float64](t, page, delay(p99, log))
		require.LessOrEqual(t, before, 2*float64(longest.Load())/1e6)

		found := 0.0
		for begun := time.Now(); found < pauseLow && time.Since(begun) < 2*patience; {
			require.NoError(t, h.cmd.Process.Signal(syscall.SIGSTOP))
			standstill := time.NewTimer(pause)
			<-standstill.C
			require.NoError(t, h.cmd.Process.Signal(syscall.SIGCONT))
			for again := time.Now(); found < pauseLow && time.Since(again) < 5*time.Second; {
				found = max(found, get[float64](t, page, delay(p99, log)))
			}
		}
		require.GreaterOrEqual(t, found, pauseLow, "the panel does not show what the hub's standstill did")
		require.LessOrEqual(t, found, 2*float64(longest.Load())/1e6, "a bucket is up to twice as long as what is in it")
		for _, series := range []string{log, sent} {
			await(t, page, fmt.Sprintf(`%s > 0 && %s <= %s * 1.01`, delay(p50, series), delay(p50, series), delay(p99, series)))
		}
		select {
		case err := <-failed:
			require.NoError(t, err)
		default:
		}
	})
}

// TestLagIsTrue: a connection that takes no more bytes is behind by all events that it has not got, and the panel says so.
func TestLagIsTrue(t *testing.T) {
	inOneBrowser(t, func(t *testing.T, open func() tab) {
		h := startPlain(t, "--stall-timeout", "0s")
		conn, err := net.Dial("tcp", h.address())
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
		_, err = fmt.Fprintf(conn, "GET /events?topic=load HTTP/1.1\r\nHost: %s\r\nUser-Agent: stalled/1.0\r\n\r\n", h.address())
		require.NoError(t, err)
		_, err = io.ReadAtLeast(conn, make([]byte, 64), 64) // its head, and no more
		require.NoError(t, err)
		require.Eventually(t, func() bool { return clients(t, h) == 1 }, patience, 10*time.Millisecond)
		page := open()
		page.navigate(t, h.base+"/")
		await(t, page, shown("overview")+` && `+live)

		var ids []string
		data := strings.Repeat("x", 32<<10)
		for range 40 {
			events := strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`{"topic":"load","data":%q},`, data), 20), ",")
			res, err := http.Post(h.base+"/push", "application/json", strings.NewReader(`{"events":[`+events+`]}`))
			require.NoError(t, err)
			var reply struct{ IDs []string }
			require.NoError(t, json.NewDecoder(res.Body).Decode(&reply))
			res.Body.Close()
			ids = append(ids, reply.IDs...)
		}
		// What it lacks is known by its position, which moves no more.
		lag := func() (behind int) {
			res, err := http.Get(h.base + "/connections?limit=10")
			require.NoError(t, err)
			defer res.Body.Close()
			var list struct {
				Connections []struct {
					Client string
					LastID string `json:"last_id"`
				}
			}
			require.NoError(t, json.NewDecoder(res.Body).Decode(&list))
			for _, c := range list.Connections {
				if c.Client == "stalled/1.0" {
					for _, id := range ids {
						if compareIDs(id, c.LastID) > 0 {
							behind++
						}
					}
				}
			}
			return behind
		}
		behind := lag()
		require.Greater(t, behind, 100, "of %d", len(ids))
		value := `Number(` + legend("Lag of slow connections", "events behind, 99th percentile") + `.replaceAll(",", ""))`
		await(t, page, fmt.Sprintf(`%s > %d && %s <= %d`, value, behind/2, value, 2*behind))
		require.Equal(t, behind, lag())
		await(t, page, legend("Connections by state", "up to date")+` === "1"`)
	})
}

// TestTheListIsFilteredByUser: an operator sees whom events were pushed to by name, and may leave out all others.
func TestTheListIsFilteredByUser(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startPlain(t)
		page := open()
		page.navigate(t, h.base+"/#live")
		await(t, page, live)
		page.eval(t, `(() => { const form = document.querySelector("#follow"); form.elements.uid.value = "ann"; form.requestSubmit(); })()`, nil)
		await(t, page, live+` && spate.subscription.uid === "ann"`)
		require.Eventually(t, func() bool { return clients(t, h) == 1 }, patience, 10*time.Millisecond)
		post(t, h, `{"uids":["ann"],"events":[{"data":"for ann"}]}`)
		post(t, h, `{"uids":["bob","ann"],"events":[{"data":"for both"}]}`)
		post(t, h, `{"events":[{"data":"for everyone"}]}`)
		await(t, page, `document.querySelectorAll("#log tr").length === 3`)
		users := func(text string) string { return rowWith(text) + `?.querySelector(".users").textContent` }
		await(t, page, users("for everyone")+` === "all" && `+users("for ann")+` === "ann"`)
		require.Equal(t, "ann, bob", get[string](t, page, users("for both")))
		filter := func(user string) {
			page.eval(t, fmt.Sprintf(`(() => { const f = document.querySelector("#filter"); f.elements.user.value = %q; f.dispatchEvent(new Event("input")); })()`, user), nil)
		}
		texts := `[...document.querySelectorAll("#log tr td.data")].map((td) => td.textContent).join()`
		filter("ann")
		require.Equal(t, "for both,for ann", get[string](t, page, texts))
		filter("bob")
		require.Equal(t, "for both", get[string](t, page, texts))
		post(t, h, `{"uids":["ann","bob"],"events":[{"data":"later"}]}`)
		await(t, page, texts+` === "later,for both"`) // once history has said whom it is for
		filter("carl")
		await(t, page, `/^No event .* This page is ann, and gets of what is for carl by name only/.test(document.querySelector("#empty").textContent)`)
	})
}

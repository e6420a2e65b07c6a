package browsertest_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestParserAgreesWithTheBrowser: the page's own parser hands out what the browser's EventSource does, from random
// streams in random pieces, whatever ends their lines and wherever blank lines are. Chromium is the judge: Firefox 153
// passes over the ID of a block without data, which WHATWG counts. No stream begins with a byte order mark, after which
// Chromium 156 may lose a line.
func TestParserAgreesWithTheBrowser(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SPATETEST_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("SPATETEST_SEED=%d", seed)
	bin := buildHub(t)
	h := startHub(t, bin, "127.0.0.1:0", t.TempDir())
	base := startFront(t, h, map[string]func(http.ResponseWriter, *http.Request, http.Handler){
		"/random": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			n, _ := strconv.ParseUint(r.URL.Query().Get("n"), 10, 64)
			rng := rand.New(rand.NewPCG(seed, n))
			write := stream(w)
			for text := randomStream(rng); text != ""; {
				cut := 1 + rng.IntN(min(len(text), 40))
				write(text[:cut])
				text = text[cut:]
			}
		},
	})
	first, _ := chromium(t)
	page := newChromiumTab(t, first)
	page.navigate(t, base+"/")
	await(t, page, live)
	for n := range 40 {
		both := get[struct{ Browser, Own []any }](t, page, fmt.Sprintf(compareParsers, n, n))
		require.NotEmpty(t, both.Browser, "SPATETEST_SEED=%d, stream %d", seed, n)
		require.Equal(t, both.Browser, both.Own, "SPATETEST_SEED=%d, stream %d", seed, n)
	}
}

// compareParsers reads a stream by EventSource, which gets an error at its end, and by the page's parser.
const compareParsers = `(async () => {
	const Browser = await new Promise((done) => {
		const all = [];
		const source = new EventSource("/random?n=%d");
		for (const type of ["message", "greeting", "x", "ü"]) {
			source.addEventListener(type, (e) => all.push([e.type, e.data, e.lastEventId]));
		}
		source.onerror = () => { source.close(); done(all); };
	});
	const { Parser } = await import("/ui/sse.js");
	const Own = [];
	let last = "";
	const parser = new Parser({
		event: (e) => Own.push([e.type, e.data, last = e.id || last]),
		position: (id) => { last = id; },
		retry: () => {},
	});
	const reader = (await fetch("/random?n=%d")).body.getReader();
	const decoder = new TextDecoder();
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return { Browser, Own };
		parser.push(decoder.decode(value, { stream: true }));
	}
})()`

// randomStream ends with an event, so that the comparison is of something.
func randomStream(rng *rand.Rand) string {
	lines := []string{
		"", "", "", ":", ": spate", "retry: 3000", "retry: x", "event: greeting", "event:x", "event: ü", "event", "data", "data:",
		"data: a", "data:  b", "data: {\"ü\": \"€\"}", "id: 7", "id: 12", "id: 9\x00", "unknown: z", "data:c:d", " data: e", "id: 2147483648",
	}
	ends := []string{"\n", "\n", "\r\n", "\r"}
	var b strings.Builder
	for range 10 + rng.IntN(60) {
		b.WriteString(lines[rng.IntN(len(lines))] + ends[rng.IntN(len(ends))])
	}
	return b.String() + "\n\ndata: end\n\n"
}

// TestStreamForms: blank lines after comments or none, the page hands out each event once and goes on after the last ID,
// and not before the time that the hub asks for.
func TestStreamForms(t *testing.T) {
	const pause = 700 * time.Millisecond
	forms := map[string]struct{ head, beat string }{
		"with blank lines":    {": spate\n\nretry: 700\n\n", ":\n\n"},
		"without blank lines": {": spate\nretry: 700\n", ":\n"},
	}
	bin := buildHub(t)
	inBrowsers(t, func(t *testing.T, open func() tab) {
		for name, form := range forms {
			t.Run(name, func(t *testing.T) {
				h := startHub(t, bin, "127.0.0.1:0", t.TempDir())
				var cut atomic.Int64 // Unix nanoseconds
				var waited atomic.Int64
				asked := make(chan string, 10)
				base := startFront(t, h, map[string]func(http.ResponseWriter, *http.Request, http.Handler){
					"/events": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
						write := stream(w)
						write(form.head)
						if at := cut.Load(); at != 0 {
							waited.Store(time.Now().UnixNano() - at)
							asked <- r.URL.Query().Get("last_event_id")
							write(form.beat + "id: 99999999999999999992\n")
							write("event: named\ndata: second\n\n")
							<-r.Context().Done()
							return
						}
						write(form.beat + form.beat + "id: 99999999999999999991\ndata: first\n\n")
						write("event: named\ndata: fleeting\n\n" + form.beat)
						cut.Store(time.Now().UnixNano()) // the stream ends here
					},
				})
				page := open()
				page.navigate(t, base+"/")
				await(t, page, `window.spate?.lastId === "99999999999999999992"`)
				require.Equal(t, "99999999999999999991", <-asked)
				require.GreaterOrEqual(t, time.Duration(waited.Load()), pause)
				require.Equal(t, []any{3.0, 1.0, 0.0, 1.0}, get[[]any](t, page, `[spate.events, spate.ephemeral, spate.faults, spate.resumes]`))
				page.close(t)
			})
		}
	})
}

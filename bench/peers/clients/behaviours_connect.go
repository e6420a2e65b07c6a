//go:build linux

package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// connecting is what HTTP and the standard say of connections.
var connecting = []behaviour{
	{"Connecting", "resumes with Last-Event-ID", func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{sayAndBreak("id: 7\ndata: \"x\"\n\n"), say("data: \"y\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return len(b.requests) == 2 && b.requests[1].header.Get("Last-Event-ID") == "7" })
		})
	}},
	{"Connecting", "an ID with NUL is ignored", func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{sayAndBreak("id: 7\ndata: \"x\"\n\nid: 8\x00\ndata: \"x\"\n\n"), say("data: \"y\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return len(b.requests) == 2 && b.requests[1].header.Get("Last-Event-ID") == "7" })
		})
	}},
	{"Connecting", "an ID that comes without an event counts", func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{sayAndBreak("data: \"x\"\n\nid: 7\n\n"), say("data: \"y\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return len(b.requests) == 2 && b.requests[1].header.Get("Last-Event-ID") == "7" })
		})
	}},
	{"Connecting", "comes back after an end in order", comesBack(sayAndEnd("data: \"x\"\n\n"))},
	{"Connecting", "comes back after a break", comesBack(sayAndBreak("data: \"x\"\n\n"))},
	{"Connecting", "comes back after a 503", func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{sayAndBreak("data: \"x\"\n\n"), answer(503, ""), say("data: \"y\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return len(b.requests) == 3 })
		})
	}},
	{"Connecting", "never sooner than `retry:` says", func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{sayAndBreak("retry: 700\ndata: \"x\"\n\n"), say("data: \"y\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(2*soon, func() bool {
				return len(b.requests) == 2 && b.requests[1].at.Sub(b.requests[0].at) >= 700*time.Millisecond
			})
		})
	}},
	{"Connecting", "never sooner than Retry-After says", func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{sayAndBreak("data: \"x\"\n\n"), answer(503, "", "Retry-After", "2"), say("data: \"y\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(2*soon, func() bool { return len(b.requests) == 3 && b.requests[2].at.Sub(b.requests[1].at) >= 2*time.Second })
		})
	}},
	{"Connecting", "204 ends it", ends(answer(204, ""))},
	{"Connecting", "401 ends it", ends(answer(401, ""))},
	{"Connecting", "a response that is no event stream ends it", ends(answer(200, "data: \"html\"\n\n", "Content-Type", "text/html"))},
	{"Connecting", "an error has the server's own message", func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{answer(401, `{"title":"Unauthorized","detail":"sign in first"}`, "Content-Type", "application/problem+json")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return len(b.errs) > 0 && strings.Contains(b.errs[0].Error(), "sign in first") })
		})
	}},
	{"Connecting", "follows 307", func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{answer(307, "", "Location", "/other"), say("data: \"x\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return b.dataIs(`"x"`) && b.requests[1].path == "/other" })
		})
	}},
	{"Connecting", "remembers 308", func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{answer(308, "", "Location", "/other"), sayAndBreak("data: \"x\"\n\n"), say("data: \"y\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return len(b.requests) == 3 && b.requests[2].path == "/other" })
		})
	}},
	{"Connecting", "a redirect takes no Authorization to another host", keeps("Authorization")},
	{"Connecting", "nor any other header that holds a key", keeps("X-Api-Key")},
	{"Connecting", "POST with a body, also when it comes back", func(lib library) (bool, error) {
		return withBed(lib, request{Method: "POST", Body: "question"}, []turn{sayAndBreak("data: \"x\"\n\n"), say("data: \"y\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool {
				return len(b.requests) == 2 && b.requests[0].method == "POST" && b.requests[1].method == "POST" && b.requests[1].body == "question"
			})
		})
	}},
	{"Connecting", "headers that are fresh at each attempt", func(lib library) (bool, error) {
		n := 0
		r := request{Fresh: func() string { n++; return fmt.Sprint(n) }}
		return withBed(lib, r, []turn{sayAndBreak("data: \"x\"\n\n"), say("data: \"y\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return len(b.requests) == 2 && b.requests[1].header.Get("X-Token") == "2" })
		})
	}},
	{"Connecting", "a gzip stream, event by event", compressed("gzip", func(w io.Writer) flusher { return gzip.NewWriter(w) })},
	{"Connecting", "a zstd stream, event by event", compressed("zstd", func(w io.Writer) flusher {
		z, err := zstd.NewWriter(w)
		if err != nil {
			panic(err)
		}
		return z
	})},
}

// keeps requires that a header of the user's does not reach another host.
func keeps(header string) func(library) (bool, error) {
	return func(lib library) (bool, error) {
		other := newBed(lib, say("data: \"x\"\n\n"))
		defer other.close()
		location := strings.Replace(other.srv.URL, "127.0.0.1", "localhost", 1)
		r := request{Header: map[string]string{header: "secret"}}
		return withBed(lib, r, []turn{answer(307, "", "Location", location+"/")}, func(_ *bed, _ running) bool {
			return other.until(soon, func() bool { return len(other.requests) == 1 && other.requests[0].header.Get(header) == "" })
		})
	}
}

func comesBack(first turn) func(library) (bool, error) {
	return func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{first, say("data: \"y\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return b.dataIs(`"x"`, `"y"`) })
		})
	}
}

// ends requires that a client which comes back to this answer stays away after it.
func ends(then turn) func(library) (bool, error) {
	return func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{sayAndBreak("data: \"x\"\n\n"), then}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return len(b.requests) == 2 }) &&
				!b.until(2*never, func() bool { return len(b.requests) > 2 || len(b.events) > 1 })
		})
	}
}

type flusher interface {
	io.Writer
	Flush() error
}

// compressed requires that each event is there when the server has flushed it.
func compressed(coding string, newWriter func(io.Writer) flusher) func(library) (bool, error) {
	return func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			if !strings.Contains(r.Header.Get("Accept-Encoding"), coding) {
				return // it has not asked for it
			}
			w.Header().Set("Content-Encoding", coding)
			z := newWriter(w)
			_, _ = io.WriteString(z, "data: \"x\"\n\n")
			_ = z.Flush()
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return b.dataIs(`"x"`) })
		})
	}
}

// endless requires that a client gives up on a line of 64 MiB rather than keep it.
func endless(lib library) (bool, error) {
	given := false
	var b *bed
	return withBedAt(lib, request{}, []turn{func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: ")
		piece := []byte(strings.Repeat("x", 1<<20))
		for range 64 {
			if _, err := w.Write(piece); err != nil {
				b.change(func() { given = true })
				return
			}
		}
		<-r.Context().Done()
	}}, &b, func(b *bed, _ running) bool {
		defer runtime.GC()
		return b.until(2*soon, func() bool { return given })
	})
}

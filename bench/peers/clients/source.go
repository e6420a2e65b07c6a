//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
)

// eventSize is the size of an event of the flood on the wire, in bytes.
const eventSize = 200

// block is events of 200 bytes with rising IDs, whose data is a JSON string, as one
// of the clients takes nothing else.
func block(n int) []byte {
	var b strings.Builder
	for i := range n {
		head := fmt.Sprintf("id: %d\nevent: order\ndata: ", 1718000000000000+i)
		b.WriteString(head + `"` + strings.Repeat("x", eventSize-len(head)-4) + "\"\n\n")
	}
	return []byte(b.String())
}

// newSource serves /flood, which writes events as fast as they are taken, and
// /idle, which writes one.
func newSource() *httptest.Server {
	events := block(320)
	mux := http.NewServeMux()
	mux.HandleFunc("/flood", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			if _, err := w.Write(events); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/idle", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write(events[:eventSize])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	return httptest.NewServer(mux)
}

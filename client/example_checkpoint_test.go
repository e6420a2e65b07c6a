package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spatehub/spate/client"
)

// numbered stands for a hub with five events, of which a client gets those after
// its Last-Event-ID.
func numbered() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
		for id := last + 1; id <= 5; id++ {
			_, _ = fmt.Fprintf(w, "id: %d\ndata: event %d\n\n", id, id)
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
}

// A program that goes on where it was after a restart of its own: its position is
// in a file. A loop that is left in the middle of an event has not handled it, and
// gets it again.
func ExampleWithCheckpoint() {
	srv := numbered()
	defer srv.Close()
	dir, err := os.MkdirTemp("", "spate")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "position")

	life := func(name, crashAt string) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		c := client.NewClient(srv.URL, client.WithCheckpoint(client.NewFileCheckpoint(file), client.AtLeastOnce))
		for e, err := range c.Events(ctx) {
			if err != nil {
				fmt.Println(err)
				return
			}
			if e.ID == crashAt {
				fmt.Println(name, "crashes at", e.Data)
				return
			}
			fmt.Println(name, "handles", e.Data)
			if e.ID == "5" {
				return
			}
		}
	}
	life("first life", "3")
	life("second life", "")
	// Output:
	// first life handles event 1
	// first life handles event 2
	// first life crashes at event 3
	// second life handles event 3
	// second life handles event 4
	// second life handles event 5
}

package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/spatehub/spate/client"
)

// mercure stands for a Mercure hub: topics in the query, a token in a header, IDs
// that are URNs, and its own position in a header of the response.
func mercure() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		topics := r.URL.Query()["topic"]
		if r.URL.Path != "/.well-known/mercure" || len(topics) == 0 {
			http.Error(w, `Missing "topic" parameter.`, http.StatusBadRequest)
			return
		}
		if r.Header.Get("Authorization") == "" {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Last-Event-ID", "urn:uuid:0")
		last := r.Header.Get("Last-Event-ID")
		_, _ = fmt.Fprint(w, ":\n")
		if last == "" {
			_, _ = fmt.Fprintf(w, "id: urn:uuid:1\nretry: 10\ndata: {\"price\":7}\n\n")
			return // the connection is lost
		}
		_, _ = fmt.Fprintf(w, "event: sold\nid: urn:uuid:2\ndata: {\"after\":%q}\n\n", last)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
}

// A Mercure hub is an SSE server like any other: topics go into the URL, a token
// that has to be fresh comes from a function, and the client resumes by itself.
func ExampleWithHeaderFunc() {
	srv := mercure()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	stream := srv.URL + "/.well-known/mercure?" + url.Values{"topic": {"https://example.com/books/{id}"}}.Encode()
	tokens := 0
	c := client.NewClient(stream,
		client.WithReconnectInterval(10*time.Millisecond),
		client.WithHeaderFunc(func(_ context.Context, h http.Header) error {
			tokens++
			h.Set("Authorization", fmt.Sprint("Bearer token-", tokens))
			return nil
		}))
	c.OnOpen(func(h http.Header) { fmt.Println("open, the hub is at", h.Get("Last-Event-ID")) })
	for e, err := range c.Events(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Event, e.ID, e.Data)
		if e.Event == "sold" {
			break
		}
	}
	fmt.Println("tokens:", tokens)
	// Output:
	// open, the hub is at urn:uuid:0
	// message urn:uuid:1 {"price":7}
	// open, the hub is at urn:uuid:0
	// sold urn:uuid:2 {"after":"urn:uuid:1"}
	// tokens: 2
}

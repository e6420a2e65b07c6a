package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// hub stands for a server that sends two events, is restarted, and then asks its
// clients to go away.
func hub() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if r.Header.Get("Last-Event-ID") == "" {
			_, _ = fmt.Fprint(w, "retry: 10\n\nid: 1\ndata: hello\n\nid: 2\nevent: order\ndata: {\"total\":3}\n\n")
			return
		}
		_, _ = fmt.Fprint(w, "id: 3\ndata: here again\n\nevent: close\ndata:\n\n")
	}))
}

func Example() {
	srv := hub()
	defer srv.Close()

	c := client.NewClient(srv.URL,
		client.WithHeaders(map[string]string{"Authorization": "Bearer secret"}),
		client.WithReconnectInterval(2*time.Second),
		client.WithEnd(func(e *wire.Event) bool { return e.Event == "close" }))
	c.OnEvent("message", func(e *wire.Event) { fmt.Println("message", e.ID, e.Data) })
	c.OnEvent("order", func(e *wire.Event) { fmt.Println("order", e.ID, e.Data) })
	if err := c.Connect(); err != nil {
		fmt.Println(err)
		return
	}
	<-c.Wait()
	fmt.Println("ended:", c.Err())
	// Output:
	// message 1 hello
	// order 2 {"total":3}
	// message 3 here again
	// ended: <nil>
}

func ExampleSSEClient_Events() {
	srv := hub()
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := client.NewClient(srv.URL)
	for e, err := range c.Events(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Event, e.ID, e.Data)
		if e.ID == "3" {
			break // ends the client
		}
	}
	fmt.Println("resume later after", c.LastEventID())
	// Output:
	// message 1 hello
	// order 2 {"total":3}
	// message 3 here again
	// resume later after 3
}

// Command nethttp embeds a hub in a plain net/http server, with a log on disk: clients that reconnect go on where they
// were, also after a restart of the server.
//
//	go run ./examples/nethttp -listen 127.0.0.1:8080 -data /tmp/orders
//	curl -N 'http://127.0.0.1:8080/events?user=alice&topic=orders'
//	curl -d 'one book' 'http://127.0.0.1:8080/order?user=alice'
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	data := flag.String("data", "orders", "folder of the log")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *data); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listen, data string) error {
	store, err := pebblelog.Open(data, pebblelog.WithRetention(persist.Retention{MaxAge: 7 * 24 * time.Hour}))
	if err != nil {
		return err
	}
	hub := engine.NewHub(engine.WithStore(store), engine.WithEnableResendEvents())
	defer hub.Close()

	mux := http.NewServeMux()
	mux.Handle("GET /events", stream.Handler(hub, identify))
	mux.HandleFunc("POST /order", func(w http.ResponseWriter, r *http.Request) { takeOrder(hub, w, r) })

	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println("listening on http://" + listener.Addr().String())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() {
		hub.Close() // ends the streams, for which Shutdown would wait
		_ = server.Shutdown(context.Background())
	})
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// identify says who a connection is and what it follows. A real program looks at a session or a token here, never at
// what the client merely claims.
func identify(r *http.Request) (uid string, topics []string, err error) {
	return r.URL.Query().Get("user"), r.URL.Query()["topic"], nil
}

// takeOrder tells the user privately, and everybody who follows the topic orders that there is one more.
func takeOrder(hub *engine.Hub, w http.ResponseWriter, r *http.Request) {
	user := r.URL.Query().Get("user")
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4096))
	if user == "" || err != nil || len(text) == 0 {
		http.Error(w, "name a user, and say in up to 4096 bytes what is ordered", http.StatusBadRequest)
		return
	}
	confirmation := &wire.Event{Event: "confirmed", Data: text}
	if err := hub.Push([]string{user}, confirmation); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if err := hub.Push(nil, &wire.Event{Event: "order", Topic: "orders", Data: map[string]any{"at": time.Now(), "length": len(text)}}); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

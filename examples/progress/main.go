// Command progress runs jobs in the background and shows how far they are, in place of a page that asks every second: the
// page hears of each step when it happens, also after a reload, and nothing is sent while nothing happens.
//
//	go run ./examples/progress -listen 127.0.0.1:8080
//	curl -X POST http://127.0.0.1:8080/jobs
//	curl -N 'http://127.0.0.1:8080/jobs/1/events?last_event_id=earliest'
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	if err := run(*listen); err != nil {
		log.Fatal(err)
	}
}

func run(listen string) error {
	hub := engine.NewHub(engine.WithLog(persist.NewMemory(persist.WithRetention(persist.Retention{MaxAge: time.Hour}))), engine.WithEnableResendEvents())
	defer hub.Close()
	var jobs atomic.Int64

	mux := http.NewServeMux()
	mux.HandleFunc("POST /jobs", func(w http.ResponseWriter, _ *http.Request) {
		id := jobs.Add(1)
		go work(hub, id)
		w.Header().Set("Location", fmt.Sprintf("/jobs/%d/events?last_event_id=earliest", id))
		w.WriteHeader(http.StatusAccepted)
	})
	mux.Handle("GET /jobs/{id}/events", stream.Handler(hub, func(r *http.Request) (string, []string, error) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err != nil || id < 1 || id > jobs.Load() {
			return "", nil, &stream.Error{Status: http.StatusNotFound, Message: "there is no such job"}
		}
		return "", []string{topic(id)}, nil
	}))

	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println("listening on http://" + listener.Addr().String())
	return http.Serve(listener, mux)
}

func topic(id int64) string { return "job." + strconv.FormatInt(id, 10) }

// work tells of its steps. The last event says that there will be none after it, so that a page can stop listening: an
// EventSource would connect again for ever.
func work(hub *engine.Hub, id int64) {
	tell := func(event string, data any) {
		if err := hub.Push(nil, &wire.Event{Event: event, Topic: topic(id), Data: data}); err != nil {
			log.Print(err)
		}
	}
	for percent := 0; percent < 100; percent += 20 {
		tell("progress", map[string]int{"percent": percent})
		time.Sleep(100 * time.Millisecond) // the work
	}
	tell("done", map[string]string{"result": "/files/report.pdf"})
}

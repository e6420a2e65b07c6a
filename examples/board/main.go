// Command board is a live dashboard of prices that change far more often than anybody looks: a page that is slow, or was
// away, gets the newest price of each instrument, not all that were missed.
//
//	go run ./examples/board -listen 127.0.0.1:8080     and open http://127.0.0.1:8080/
package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

var instruments = []string{"EURUSD", "EURGBP", "EURJPY", "EURCHF"}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	every := flag.Duration("every", 10*time.Millisecond, "how often each price changes")
	flag.Parse()
	if err := run(*listen, *every); err != nil {
		log.Fatal(err)
	}
}

func run(listen string, every time.Duration) error {
	// What is kept is the way back for pages that were away: a minute of it is enough for prices.
	hub := engine.NewHub(engine.WithLog(persist.NewMemory(persist.WithRetention(persist.Retention{MaxAge: time.Minute}))), engine.WithEnableResendEvents())
	defer hub.Close()
	go feed(hub, every)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) })
	mux.Handle("GET /prices", stream.Handler(hub, func(*http.Request) (string, []string, error) {
		return "", []string{"prices"}, nil
	}, stream.WithConflation()))

	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println("listening on http://" + listener.Addr().String())
	return http.Serve(listener, mux)
}

// feed pushes prices until the hub closes. The key says which events replace each other.
func feed(hub *engine.Hub, every time.Duration) {
	prices := map[string]float64{}
	for range time.Tick(every) {
		for _, name := range instruments {
			prices[name] += rand.Float64() - 0.5
			e := &wire.Event{Event: "price", Topic: "prices", Key: name, Data: map[string]any{"name": name, "price": 100 + prices[name]}}
			if hub.Push(nil, e) != nil {
				return
			}
		}
	}
}

const page = `<!doctype html><meta charset="utf-8"><title>board</title><table></table>
<script>
const cells = {}
new EventSource("/prices?last_event_id=earliest").addEventListener("price", e => {
  const {name, price} = JSON.parse(e.data)
  if (!cells[name]) {
    const row = document.querySelector("table").insertRow()
    row.insertCell().textContent = name
    cells[name] = row.insertCell()
  }
  cells[name].textContent = price.toFixed(2)
})
</script>`

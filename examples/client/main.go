// Command client is the client example of sponge/pkg/sse on spate: it prints the events of a server until Ctrl+C, through
// lost connections and restarts of the server.
//
//	go run ./examples/client
//	go run ./examples/client -url http://127.0.0.1:8080/events?topic=cpu -position /tmp/position
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"time"

	sse "github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

func main() {
	url := flag.String("url", "http://localhost:8080/events", "event `stream`")
	position := flag.String("position", "", "`file` to keep the position in, so that the next start goes on from there")
	flag.Parse()

	// Create SSE client
	var opts []sse.Option
	if *position != "" {
		opts = append(opts, sse.WithCheckpoint(sse.NewFileCheckpoint(*position), sse.AtLeastOnce))
	}
	client := sse.NewClient(*url, opts...)

	client.OnEvent(wire.DefaultEventType, func(event *wire.Event) {
		fmt.Printf("Received: %s %v\n", event.ID, event.Data)
	})
	client.OnGap(func(gap sse.Gap) {
		fmt.Printf("Events after %s and up to %s are missing\n", gap.From, gap.To)
	})
	client.OnOpen(func(http.Header) {
		fmt.Printf("Connected, going on after %q\n", client.LastEventID())
	})
	client.OnReconnect(func(attempt int, wait time.Duration, err error) {
		fmt.Printf("Connection lost (%v), attempt %d in %v\n", err, attempt, wait.Round(time.Millisecond))
	})

	err := client.Connect()
	if err != nil {
		fmt.Printf("Connection failed: %v\n", err)
		os.Exit(1)
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	go func() {
		<-interrupted
		client.Disconnect()
	}()

	fmt.Println("SSE client started, press Ctrl+C to exit")
	<-client.Wait()
	if err := client.Err(); err != nil {
		fmt.Printf("The stream ended: %v\n", err)
		os.Exit(1)
	}
}

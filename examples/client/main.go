// Command client is the seed library's client example on spate: it prints the events of a server until Ctrl+C.
//
//	go run ./examples/client
package main

import (
	"fmt"

	sse "github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

func main() {
	url := "http://localhost:8080/events"

	// Create SSE client
	client := sse.NewClient(url)

	client.OnEvent(wire.DefaultEventType, func(event *wire.Event) {
		fmt.Printf("Received: %#v\n", event)
	})

	err := client.Connect()
	if err != nil {
		fmt.Printf("Connection failed: %v\n", err)
		return
	}

	fmt.Println("SSE client started, press Ctrl+C to exit")
	<-client.Wait()
}

// Command server is the server example of sponge/pkg/sse on spate: a Gin endpoint that streams events, one that pushes
// them, and a goroutine that broadcasts every five seconds.
//
//	go run ./examples/server
//	go run ./examples/client
//	curl -H 'Content-Type: application/json' -d '{"uids":["u001"],"events":[{"event":"message","data":"hello_world"}]}' http://localhost:8080/push
package main

import (
	"math/rand"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve"
	"github.com/spatehub/spate/wire"
)

func main() {
	// Initialize SSE Hub
	hub := engine.NewHub()
	defer hub.Close()

	// Create Gin router
	r := gin.Default()

	// SSE Event Stream Interface, requires authentication to set uid
	r.GET("/events", func(c *gin.Context) {
		var uid string
		u, isExists := c.Get("uid")
		if !isExists {
			uid = strconv.Itoa(rand.Intn(99) + 100) // mock uid
		} else {
			uid, _ = u.(string)
		}
		serve.Serve(c, hub, uid)
	})

	// Register event push endpoint, supports pushing to specified users and broadcast pushing
	// Push to specified users
	// curl -X POST -H "Content-Type: application/json" -d '{"uids":["u001"],"events":[{"event":"message","data":"hello_world"}]}' http://localhost:8080/push
	// Broadcast push, not specifying users means pushing to all users
	// curl -X POST -H "Content-Type: application/json" -d '{"events":[{"event":"message","data":"hello_world"}]}' http://localhost:8080/push
	r.POST("/push", serve.PushEventHandler(hub))

	// simulated event push
	go func() {
		i := 0
		for {
			time.Sleep(time.Second * 5)
			i++
			e := &wire.Event{Event: wire.DefaultEventType, Data: "hello_world_" + strconv.Itoa(i)}
			_ = hub.Push(nil, e) // broadcast push
			//_ = hub.Push([]string{uid}, e) // specified user push
		}
	}()

	// Start HTTP server
	if err := http.ListenAndServe(":8080", r); err != nil {
		panic(err)
	}
}

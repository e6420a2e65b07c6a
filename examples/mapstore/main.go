// Command mapstore gives a hub a store of the user's own, here a map: clients that reconnect with Last-Event-ID get what
// they missed. It also tells on the console of events that reached nobody.
//
//	go run ./examples/mapstore -listen 127.0.0.1:8080
//	curl -N 'http://127.0.0.1:8080/events?uid=u1'
//	curl -H 'Content-Type: application/json' -d '{"uids":["u1"],"events":[{"data":"for you alone"}]}' http://127.0.0.1:8080/push
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve"
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
	hub := engine.NewHub(
		engine.WithStore(NewMapStore()),
		engine.WithEnableResendEvents(),
		engine.WithPushFailedHandleFn(func(uid string, e *wire.Event) {
			log.Printf("event %s did not reach user %q", e.ID, uid)
		}),
	)
	defer hub.Close()

	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET("/events", func(c *gin.Context) { serve.Serve(c, hub, c.Query("uid")) })
	r.POST("/push", serve.PushEventHandler(hub))

	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println("listening on http://" + listener.Addr().String())
	return http.Serve(listener, r)
}

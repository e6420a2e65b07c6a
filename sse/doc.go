// Package sse is the whole of spate in one import, under the names of
// github.com/go-dev-frame/sponge/pkg/sse (v1.16): programs written for that
// library go on with another import path. It is a thin layer over the packages
// engine, serve, client and persist; what those offer beyond it is reached by
// [WithHub], [Hub.Engine] and [WithClient].
//
//	hub := sse.NewHub()
//	defer hub.Close()
//	r.GET("/events", func(c *gin.Context) { hub.Serve(c, userOf(c)) })
//	r.POST("/push", mayPush, hub.PushEventHandler())
//	err := hub.Push(nil, &sse.Event{Event: sse.DefaultEventType, Data: "hello"})
//
// docs/migration.md lists where it behaves otherwise. The differences that a
// program can trip over: the hub gives each event its ID; a string is sent as
// it is, not as JSON; an empty list of users is an error, not everyone; several
// connections of one user all get the user's events.
package sse

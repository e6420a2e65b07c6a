package engine_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// lines is a connection that hands on the data of what it gets, a line each.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			l <- strings.TrimSpace(data)
		}
	}
	return len(p), nil
}

func (l lines) Close(error) { close(l) }

// A push is for everybody, for some users, or for who follows a topic.
func ExampleHub_Push() {
	hub := engine.NewHub()
	alice := make(lines, 10)
	if _, err := hub.Subscribe(engine.Subscription{UID: "alice", Topics: []string{"news"}}, alice); err != nil {
		fmt.Println(err)
	}
	_ = hub.Push(nil, &wire.Event{Data: "to everybody"})
	_ = hub.Push([]string{"alice", "bob"}, &wire.Event{Data: "to two users"})
	_ = hub.Push([]string{"bob"}, &wire.Event{Data: "to another one"})
	_ = hub.Push(nil, &wire.Event{Topic: "news", Data: "to a topic"})
	_ = hub.Push(nil, &wire.Event{Topic: "sports", Data: "to another topic"})
	hub.Close() // what is pushed still reaches who can take it
	for line := range alice {
		fmt.Println(line)
	}
	// Output:
	// to everybody
	// to two users
	// to a topic
	// {"reason":"closed"}
}

// A connection that says how far it got has what it missed first.
func ExampleHub_Subscribe() {
	hub := engine.NewHub(engine.WithLog(persist.NewMemory()), engine.WithEnableResendEvents())
	defer hub.Close()
	ids, err := hub.Publish(context.Background(), nil, &wire.Event{Data: "one"}, &wire.Event{Data: "two"}, &wire.Event{Data: "three"})
	if err != nil {
		fmt.Println(err)
		return
	}
	connection := make(lines, 10)
	if _, err := hub.Subscribe(engine.Subscription{LastEventID: fmt.Sprint(ids[0])}, connection); err != nil {
		fmt.Println(err)
		return
	}
	_ = hub.Push(nil, &wire.Event{Data: "four"})
	fmt.Println(<-connection, <-connection, <-connection)
	// Output: two three four
}

// Publishers that do not wait for the disk one by one ask for the verdict later.
func ExampleHub_PushAsync() {
	hub := engine.NewHub(engine.WithLog(persist.NewMemory()))
	defer hub.Close()
	var results []*engine.Result
	for i := range 3 {
		r, err := hub.PushAsync(nil, &wire.Event{Data: fmt.Sprint("event ", i)})
		if err != nil {
			fmt.Println(err)
			return
		}
		results = append(results, r)
	}
	for _, r := range results {
		if _, err := r.Wait(context.Background()); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(len(results), "events are kept")
	// Output: 3 events are kept
}

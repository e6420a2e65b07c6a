package wire_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spatehub/spate/wire"
)

func ExampleAppendEvent() {
	frame, err := wire.AppendEvent(nil, &wire.Event{
		ID:    "42",
		Event: "order",
		Data:  map[string]any{"total": 3, "note": "<none>"},
		Retry: 2 * time.Second,
	})
	fmt.Printf("%s%v\n", frame, err)

	// Each line of data has its own field, whatever ended it.
	frame, _ = wire.AppendEvent(nil, &wire.Event{Data: "one\r\ntwo"})
	fmt.Printf("%q\n", frame)
	// Output:
	// id: 42
	// event: order
	// retry: 2000
	// data: {"note":"<none>","total":3}
	//
	// <nil>
	// "data: one\ndata: two\n\n"
}

func ExampleFieldError() {
	_, err := wire.AppendEvent(nil, &wire.Event{Event: "order\ndata: forged", Data: "x"})
	fmt.Println(err)
	var fieldErr *wire.FieldError
	fmt.Println(errors.As(err, &fieldErr), fieldErr.Field)
	// Output:
	// wire: event field "event" contains a line feed
	// true event
}

// The body is encoded before its ID is known, behind room for it.
func ExamplePutID() {
	buf := make([]byte, wire.IDHeadroom, 256)
	buf, _ = wire.AppendBody(buf, &wire.Event{Data: "hello"})
	frame := buf[wire.PutID(buf, 42):]
	fmt.Printf("%q\n", frame)
	// Output: "id: 42\ndata: hello\n\n"
}

func ExampleDecoder() {
	stream := "id: 1\nevent: greeting\ndata: hello\n\n: a comment\n\ndata: one\ndata: two\n\ndata: cut off"
	d := wire.NewDecoder(strings.NewReader(stream))
	for {
		e, err := d.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %s %q\n", e.ID, e.Event, e.Data)
	}
	fmt.Println("resume after", d.LastID())
	// Output:
	// 1 greeting "hello"
	// 1 message "one\ntwo"
	// resume after 1
}

func ExampleParser() {
	var p wire.Parser
	show := func(ev wire.RawEvent) error {
		fmt.Printf("%s %s\n", ev.ID, ev.Data)
		return nil
	}
	for _, chunk := range []string{"id: 1\nda", "ta: hel", "lo\n", "\nid: 2\ndata: bye\n\n"} {
		if err := p.Feed([]byte(chunk), show); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// 1 hello
	// 2 bye
}

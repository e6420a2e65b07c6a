package ringbuf_test

import (
	"context"
	"fmt"

	"github.com/spatehub/spate/ringbuf"
)

// A journal reads first, a printer follows it and keeps the last two values
// readable.
func ExampleRing() {
	ring := ringbuf.NewRing(8, 100, func(seq uint64, v *string) {
		fmt.Println("released", seq, *v)
		*v = ""
	})
	journal := ring.NewReader()
	printer := ring.NewReader(journal)
	printer.SetWindow(2)

	for _, word := range []string{"one", "two", "three"} {
		seq, err := ring.Claim(context.Background(), 1)
		if err != nil {
			return
		}
		*ring.Slot(seq) = word
		ring.Publish(seq, 1)
	}
	ring.Close()

	_, _, ok := printer.TryNext(0)
	fmt.Println("before the journal:", ok)
	for _, reader := range []*ringbuf.Reader[string]{journal, printer} {
		for {
			from, to, err := reader.Next(context.Background(), 2)
			if err != nil {
				break // ErrClosed: all is read
			}
			fmt.Println("read", from, "to", to)
			reader.Advance(to)
		}
	}
	fmt.Println("history from", printer.Held(), *ring.Slot(printer.Held()))
	ring.ReleaseAll()
	// Output:
	// before the journal: false
	// read 101 to 102
	// read 103 to 103
	// read 101 to 102
	// read 103 to 103
	// released 101 one
	// history from 102 two
	// released 102 two
	// released 103 three
}

// An actor takes its commands when it is scheduled, and is scheduled when the
// first of them arrives.
func ExampleMailbox() {
	var commands ringbuf.Mailbox[string]
	for _, c := range []string{"join", "leave"} {
		if commands.Put(&ringbuf.Node[string]{Value: c}) {
			fmt.Println("schedule")
		}
	}
	for n := commands.Take(); n != nil; n = commands.Take() {
		fmt.Println(n.Value)
	}
	// Output:
	// schedule
	// join
	// leave
}

func ExampleQueue() {
	q := ringbuf.NewQueue[string](2)
	fmt.Println(q.TryPush("a"), q.TryPush("b"), q.TryPush("c"))
	q.Close()
	for {
		v, err := q.Pop(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(v)
	}
	// Output:
	// true true false
	// a
	// b
	// ringbuf: closed
}

//go:build linux

package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/spatehub/spate/wire"
)

// BenchmarkEncode: what does one frame cost, beside the two ways in which it is commonly written? wire/bench_test.go has
// other kinds of data.
func BenchmarkEncode(b *testing.B) {
	const id = 1718000000000001
	data := strings.Repeat("x", eventSize)
	event := &wire.Event{Event: "message", Data: data}
	var out bytes.Buffer
	want := fmt.Sprintf("id: %d\nevent: message\ndata: %s\n\n", uint64(id), data)
	for _, way := range []struct {
		name   string
		encode func()
	}{
		{"wire", func() {
			frame, _ := wire.AppendBody(append(out.AvailableBuffer(), make([]byte, wire.IDHeadroom)...), event)
			out.Write(frame[wire.PutID(frame, id):])
		}},
		{"fmt", func() {
			fmt.Fprintf(&out, "id: %s\n", strconv.FormatUint(id, 10))
			fmt.Fprintf(&out, "event: %s\n", "message")
			fmt.Fprintf(&out, "data: %s\n\n", data)
		}},
		{"json", func() { // as sponge/pkg/sse does for each client
			text, _ := json.Marshal(data)
			var buf bytes.Buffer
			buf.WriteString("id: " + strconv.FormatUint(id, 10) + "\nevent: message\ndata: ")
			buf.Write(text[1 : len(text)-1])
			buf.WriteString("\n\n")
			out.Write(buf.Bytes())
		}},
	} {
		b.Run("side="+way.name, func(b *testing.B) {
			b.SetBytes(int64(len(want)))
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				way.encode()
			}
			if out.String() != want {
				b.Errorf("wrote %q", out.String())
			}
		})
	}
}

// BenchmarkDecode: how fast is a stream taken apart? Both sides count the events and the bytes of their data.
func BenchmarkDecode(b *testing.B) {
	var stream []byte
	const events = 1000
	for i := range events {
		stream, _ = wire.AppendEvent(stream, &wire.Event{ID: wire.FormatID(uint64(i + 1)), Event: "message", Data: strings.Repeat("x", eventSize)})
	}
	run := func(b *testing.B, decode func() (n, size int)) {
		b.SetBytes(int64(len(stream)))
		b.ReportAllocs()
		for b.Loop() {
			if n, size := decode(); n != events || size != events*eventSize {
				b.Fatalf("%d events of %d bytes", n, size)
			}
		}
		b.ReportMetric(float64(b.N)*events/b.Elapsed().Seconds(), "events/s")
	}
	b.Run("side=wire", func(b *testing.B) {
		var p wire.Parser
		var n, size int
		fn := func(e wire.RawEvent) error {
			n++
			size += len(e.Data)
			return nil
		}
		run(b, func() (int, int) {
			n, size = 0, 0
			if err := p.Feed(stream, fn); err != nil {
				b.Fatal(err)
			}
			return n, size
		})
	})
	b.Run("side=split", func(b *testing.B) { // by hand: no order of fields, no line ends but \n, the whole stream at once
		run(b, func() (n, size int) {
			for frame := range bytes.SplitSeq(stream, []byte("\n\n")) {
				for line := range bytes.SplitSeq(frame, []byte("\n")) {
					if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
						n++
						size += len(data)
					}
				}
			}
			return n, size
		})
	})
}

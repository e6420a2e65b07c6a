package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spatehub/spate/wire"
)

// One op is one event everywhere, so that ns/op is its price; MB/s is of bytes
// on the wire.

func BenchmarkAppendEvent(b *testing.B) {
	type order struct {
		Number int    `json:"number"`
		Text   string `json:"text"`
	}
	payload := strings.Repeat("x", 160)
	for name, data := range map[string]any{
		"string":     payload,
		"bytes":      []byte(payload),
		"RawMessage": json.RawMessage(`{"text":"` + payload + `"}`),
		"struct":     &order{7, payload},
		"16 lines":   strings.Repeat("123456789\n", 16),
		"4KiB":       strings.Repeat("x", 4096),
	} {
		b.Run(name, func(b *testing.B) {
			e := &wire.Event{ID: "1718000000000001", Event: "order", Data: data}
			buf, err := wire.AppendEvent(nil, e)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = wire.AppendEvent(buf[:0], e)
			}
		})
	}
}

// The hub's way: the body first, the ID in front of it once it is known.
func BenchmarkAppendBodyPutID(b *testing.B) {
	e := &wire.Event{Event: "order", Data: strings.Repeat("x", 160)}
	buf := make([]byte, wire.IDHeadroom, 512)
	id := uint64(1718000000000000)
	b.ReportAllocs()
	for b.Loop() {
		id++
		frame, err := wire.AppendBody(buf, e)
		if err != nil {
			b.Fatal(err)
		}
		sink = frame[wire.PutID(frame, id):]
	}
	b.SetBytes(int64(len(sink)))
}

// benchStream is n events of 200 bytes on the wire.
func benchStream(n int, lineEnd string) []byte {
	var s []byte
	for i := range n {
		head := fmt.Sprintf("id: %d\nevent: order\ndata: ", 1718000000000000+int64(i))
		event := head + strings.Repeat("x", 200-len(head)-2) + "\n\n"
		s = append(s, strings.ReplaceAll(event, "\n", lineEnd)...)
	}
	return s
}

func BenchmarkParser(b *testing.B) {
	const events = 320
	for _, bc := range []struct {
		name, lineEnd string
		chunk         int
	}{
		{"whole events", "\n", 64000},
		{"64KiB chunks", "\n", 64 << 10},
		{"4KiB chunks", "\n", 4 << 10},
		{"150B chunks", "\n", 150},
		{"CRLF", "\r\n", 64 << 10},
	} {
		b.Run(bc.name, func(b *testing.B) {
			stream := benchStream(events, bc.lineEnd)
			var p wire.Parser
			var bytesSeen int
			fn := func(ev wire.RawEvent) error { bytesSeen += len(ev.Data); return nil }
			b.SetBytes(int64(len(stream) / events))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				// b.Loop counts events: the whole stream is parsed once in events turns.
				if n++; n%events != 0 {
					continue
				}
				for i := 0; i < len(stream); i += bc.chunk {
					if err := p.Feed(stream[i:min(i+bc.chunk, len(stream))], fn); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkDecoder(b *testing.B) {
	const events = 320
	stream := benchStream(events, "\n")
	for name, next := range map[string]func(d *wire.Decoder) error{
		"events":    func(d *wire.Decoder) error { _, err := d.Next(); return err },
		"zero copy": func(d *wire.Decoder) error { _, err := d.NextRaw(); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(stream) / events))
			b.ReportAllocs()
			d := wire.NewDecoder(&endless{stream: stream})
			for b.Loop() {
				if err := next(d); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// endless repeats a stream for ever.
type endless struct {
	stream []byte
	rest   bytes.Reader
	most   int // bytes a read; 0: any
}

func (e *endless) Read(p []byte) (int, error) {
	if e.most > 0 {
		p = p[:min(len(p), e.most)]
	}
	n, err := e.rest.Read(p)
	if err == io.EOF {
		e.rest.Reset(e.stream)
		return e.rest.Read(p)
	}
	return n, err
}

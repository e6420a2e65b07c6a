package pebblelog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/spatehub/spate/internal/jsontext"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// line is a record as a line of NDJSON. Text is what was pushed; frame is the bytes that
// clients get, where they are not what the other fields would be encoded as.
type line struct {
	ID    string    `json:"id"`
	Time  time.Time `json:"time"`
	Users []string  `json:"users,omitempty"`
	Topic string    `json:"topic,omitempty"`
	Key   string    `json:"key,omitempty"`
	Event string    `json:"event,omitempty"`
	Data  string    `json:"data"`
	Retry string    `json:"retry,omitempty"`
	Frame []byte    `json:"frame,omitempty"`
}

// maxLine bounds a line of an import.
const maxLine = 1 << 30

// Export writes the records of a log after an ID as NDJSON, a line each, oldest first:
// id, time, users, topic, key, event, data. It returns how many.
func Export(ctx context.Context, l persist.Log, after uint64, w io.Writer) (n int64, err error) {
	return export(ctx, l.Read, after, w)
}

func export(ctx context.Context, read func(context.Context, uint64, persist.Limit) (persist.Page, error), after uint64, w io.Writer) (n int64, err error) {
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for {
		page, err := read(ctx, after, persist.Limit{})
		if err != nil {
			return n, err
		}
		if page.UpTo == after {
			return n, out.Flush()
		}
		after = page.UpTo
		for i := range page.Records {
			if page.Records[i].Note() {
				continue // a hub's own, and its name has no form in JSON
			}
			one, err := lineOf(&page.Records[i])
			if err != nil {
				return n, err
			}
			if err := enc.Encode(one); err != nil {
				return n, fmt.Errorf("persist: export: %w", err)
			}
			n++
		}
	}
}

func lineOf(r *persist.Record) (line, error) {
	e, err := persist.EventOf(r)
	if err != nil {
		return line{}, err
	}
	out := line{
		ID: e.ID, Time: time.UnixMilli(r.Time).UTC(), Users: r.Users, Topic: r.Topic, Key: r.Key,
		Event: e.Event, Data: e.Data.(string),
	}
	if e.Retry != 0 {
		out.Retry = e.Retry.String()
	}
	if again, err := out.record(math.MaxInt); err != nil || !bytes.Equal(again.Frame, r.Frame) {
		out.Frame = r.Frame
	}
	return out, nil
}

// record is the record of a line, by the rules of a push.
func (l *line) record(maxData int) (persist.Record, error) {
	e := &wire.Event{ID: l.ID, Event: l.Event, Data: l.Data, Users: l.Users, Topic: l.Topic, Key: l.Key}
	if len(l.Data) > maxData {
		return persist.Record{}, fmt.Errorf("data has %d bytes, more than the %d that are taken", len(l.Data), maxData)
	}
	if l.Retry != "" {
		retry, err := time.ParseDuration(l.Retry)
		if err != nil {
			return persist.Record{}, fmt.Errorf("retry: %w", err)
		}
		e.Retry = retry
	}
	r, err := persist.RecordOf(e, l.Time)
	if err == nil && l.Frame != nil {
		r.Frame = l.Frame
		err = l.checkFrame()
	}
	return r, err
}

// checkFrame refuses a frame that is more or less than the event of the line: what
// follows it in a stream must be understood as if it were not there.
func (l *line) checkFrame() error {
	const next = "next"
	var events []wire.RawEvent
	p := wire.Parser{MaxEventSize: len(l.Frame) + len(next)}
	for _, part := range [][]byte{l.Frame, []byte("data: " + next + "\n\n")} {
		if err := p.Feed(part, func(raw wire.RawEvent) error {
			raw.ID, raw.Event, raw.Data = bytes.Clone(raw.ID), bytes.Clone(raw.Event), bytes.Clone(raw.Data)
			events = append(events, raw)
			return nil
		}); err != nil {
			return fmt.Errorf("frame: %w", err)
		}
	}
	if len(events) != 2 || string(events[1].Data) != next || len(events[1].Event) > 0 || events[1].HasID || events[1].Retry != 0 {
		return errors.New("frame is not one whole event")
	}
	for _, e := range events {
		if string(e.ID) != l.ID {
			return fmt.Errorf("frame has the ID %q, and the line %q", e.ID, l.ID)
		}
	}
	if string(events[0].Event) != l.Event || string(events[0].Data) != l.Data {
		return errors.New("frame has another event or other data than the line")
	}
	return nil
}

// Import appends the lines of an [Export] to a log, in a run of their own. Their IDs must
// ascend and be greater than the log's last one. What a push would refuse is refused: types
// that are a hub's own, text that is no text, data of more than maxData bytes (0 stands for
// [wire.DefaultMaxEventSize]). It returns how many were appended; an error names the line,
// and those before its batch of a thousand are in the log then.
func Import(ctx context.Context, l persist.Log, in io.Reader, maxData int) (n int64, err error) {
	if maxData <= 0 {
		maxData = wire.DefaultMaxEventSize
	}
	const batch, size = 1000, 4 << 20
	dec := json.NewDecoder(&boundedReader{r: bufio.NewReaderSize(in, 64<<10)})
	var recs []persist.Record
	bytes := 0
	for {
		r, err := nextRecord(dec, maxData)
		end := errors.Is(err, io.EOF)
		if err == nil && n == 0 && len(recs) == 0 {
			err = beginRun(l, r.ID)
		}
		if err != nil && !end {
			return n, fmt.Errorf("persist: import: line %d: %w", n+int64(len(recs))+1, err)
		}
		if !end {
			recs = append(recs, r)
			bytes += r.Size()
		}
		if end || len(recs) >= batch || bytes >= size {
			if err := l.Append(ctx, recs); err != nil {
				return n, fmt.Errorf("persist: import: lines %d to %d: %w", n+1, n+int64(len(recs)), err)
			}
			n += int64(len(recs))
			recs, bytes = recs[:0], 0
		}
		if end {
			return n, nil
		}
	}
}

// nextRecord reads a line.
func nextRecord(dec *json.Decoder, maxData int) (r persist.Record, err error) {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return r, err
	}
	if err := checkFields(raw); err != nil {
		return r, err
	}
	var one line
	if err := json.Unmarshal(raw, &one); err != nil {
		return r, err
	}
	if _, err := wire.ParseID(one.ID); err != nil {
		return r, fmt.Errorf("id: %.100q is no event ID", one.ID)
	}
	return one.record(maxData)
}

// lineNames are the names in a line. The first three must be there.
var lineNames = []string{"id", "time", "data", "users", "topic", "key", "event", "retry", "frame"}

// checkFields refuses a line in which a name is unknown, missing, given twice or null, or
// has what cannot be its value, or bytes that are no text. encoding/json passes over most of
// these, takes names in any case, and puts U+FFFD in the place of such bytes.
func checkFields(raw json.RawMessage) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return errors.New("not an object")
	}
	seen := make(map[string]bool, len(lineNames))
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string) // the decoder takes nothing else there
		switch {
		case !slices.Contains(lineNames, name):
			return fmt.Errorf("%.100q is not known", name)
		case seen[name]:
			return fmt.Errorf("%s is given twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if err := checkField(name, value); err != nil {
			return err
		}
	}
	for _, name := range lineNames[:3] {
		if !seen[name] {
			return fmt.Errorf("%s is missing", name)
		}
	}
	return nil
}

func checkField(name string, value json.RawMessage) error {
	if string(value) == "null" {
		return fmt.Errorf("%s is null", name)
	}
	if !utf8.Valid(value) {
		return fmt.Errorf("%s is not valid UTF-8", name)
	}
	if jsontext.HasLoneSurrogate(value) {
		return fmt.Errorf("%s has half of a surrogate pair, which is no character", name)
	}
	var to any
	var kind string
	switch name {
	case "time":
		to, kind = new(time.Time), "a time such as 2027-01-31T00:00:00Z"
	case "users":
		to, kind = new([]string), "a list of texts"
	case "frame":
		to, kind = new([]byte), "a text in base64"
	default:
		to, kind = new(string), "a text"
	}
	if json.Unmarshal(value, to) != nil {
		return fmt.Errorf("%s has to be %s", name, kind)
	}
	return nil
}

func beginRun(l persist.Log, first uint64) error {
	if runs, ok := l.(persist.Runs); ok {
		return runs.BeginRun(first)
	}
	return nil
}

// boundedReader fails where a line is longer than any that an export writes.
type boundedReader struct {
	r    *bufio.Reader
	line int
}

// Read implements [io.Reader].
func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if i := bytes.LastIndexByte(p[:n], '\n'); i >= 0 {
		b.line = n - i - 1
	} else if b.line += n; b.line > maxLine {
		return 0, errors.New("the line is too long")
	}
	return n, err
}

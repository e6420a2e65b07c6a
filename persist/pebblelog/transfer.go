package pebblelog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

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
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for {
		page, err := l.Read(ctx, after, persist.Limit{})
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
	if again, err := out.record(); err != nil || !bytes.Equal(again.Frame, r.Frame) {
		out.Frame = r.Frame
	}
	return out, nil
}

// record is the record of a line.
func (l *line) record() (persist.Record, error) {
	e := &wire.Event{ID: l.ID, Event: l.Event, Data: l.Data, Users: l.Users, Topic: l.Topic, Key: l.Key}
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
		_, err = persist.EventOf(&r)
	}
	return r, err
}

// Import appends the lines of an [Export] to a log, in a run of their own. Their IDs must
// ascend and be greater than the log's last one. It returns how many were appended; an
// error names the line, and those before its batch of a thousand are in the log then.
func Import(ctx context.Context, l persist.Log, in io.Reader) (n int64, err error) {
	const batch, size = 1000, 4 << 20
	dec := json.NewDecoder(&boundedReader{r: bufio.NewReaderSize(in, 64<<10)})
	var recs []persist.Record
	bytes := 0
	for {
		one, err := nextLine(dec)
		if err != nil && !errors.Is(err, io.EOF) {
			return n, fmt.Errorf("persist: import: line %d: %w", n+int64(len(recs))+1, err)
		}
		end := err != nil
		if !end {
			r, err := one.record()
			if err != nil {
				return n, fmt.Errorf("persist: import: line %d: %w", n+int64(len(recs))+1, err)
			}
			if n == 0 && len(recs) == 0 {
				if err := beginRun(l, r.ID); err != nil {
					return n, fmt.Errorf("persist: import: line 1: %w", err)
				}
			}
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

// nextLine reads a line. Bytes that are no text are refused: encoding/json would put
// U+FFFD in their place.
func nextLine(dec *json.Decoder) (one line, err error) {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return one, err
	}
	if !utf8.Valid(raw) {
		return one, errors.New("not valid UTF-8")
	}
	strict := json.NewDecoder(bytes.NewReader(raw))
	strict.DisallowUnknownFields()
	return one, strict.Decode(&one)
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

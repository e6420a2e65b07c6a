package cli

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/spatehub/spate/loadtest/internal/report"
)

// lines writes each interval as a line, for other programs. It is for one goroutine at a time.
type lines struct {
	files []*os.File
	write []func(p report.Point) error
	err   error // the first
}

// newLines creates the files that have a name: CSV with a head, and JSON lines.
func newLines(csvName, jsonName string) (*lines, error) {
	l := &lines{}
	for _, x := range []struct {
		name string
		make func(w io.Writer) func(p report.Point) error
	}{{csvName, csvLines}, {jsonName, jsonLines}} {
		if x.name == "" {
			continue
		}
		f, err := os.Create(x.name)
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.files = append(l.files, f)
		l.write = append(l.write, x.make(f))
	}
	return l, nil
}

// point writes one interval.
func (l *lines) point(p report.Point) {
	for _, w := range l.write {
		if err := w(p); err != nil && l.err == nil {
			l.err = err
		}
	}
}

// close closes the files and returns the first error of all.
func (l *lines) close() error {
	for _, f := range l.files {
		if err := f.Close(); err != nil && l.err == nil {
			l.err = err
		}
	}
	l.files = nil
	return l.err
}

func jsonLines(w io.Writer) func(p report.Point) error {
	enc := json.NewEncoder(w)
	return func(p report.Point) error { return enc.Encode(p) }
}

// csvLines writes the fields of a point under their names in the JSON. What was not
// measured is empty.
func csvLines(w io.Writer) func(p report.Point) error {
	out := csv.NewWriter(w)
	typ := reflect.TypeFor[report.Point]()
	var head []string
	var optional []bool
	for i := range typ.NumField() {
		name, rest, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		head = append(head, name)
		optional = append(optional, rest == "omitempty")
	}
	begun := false
	return func(p report.Point) error {
		if !begun {
			begun = true
			if err := out.Write(head); err != nil {
				return err
			}
		}
		v := reflect.ValueOf(p)
		var cells []string
		for i := range typ.NumField() {
			cell := fmt.Sprint(v.Field(i).Interface())
			if optional[i] && v.Field(i).IsZero() {
				cell = ""
			}
			cells = append(cells, cell)
		}
		if err := out.Write(cells); err != nil {
			return err
		}
		out.Flush()
		return out.Error()
	}
}

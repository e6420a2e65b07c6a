package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/run"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// watch makes everything that is told of each interval. stop ends it; with an error,
// that of a run that did not start, it leaves no files, and returns that error.
func (o *output) watch(c *config.Config, stderr io.Writer) (w run.Watch, stop func(error) error, err error) {
	perInterval, err := newLines(o.csv, o.jsonl)
	if err != nil {
		return nil, nil, err
	}
	m := newMetrics()
	unlisten := func() error { return nil }
	if o.listen != "" {
		at, end, err := m.serve(o.listen)
		if err != nil {
			return nil, nil, errors.Join(err, perInterval.close())
		}
		fmt.Fprintf(stderr, "metrics at http://%s/metrics\n", at)
		unlisten = end
	}
	var v *view
	if !o.quiet {
		v = newView(stderr, c)
	}
	w = func(p report.Point, s *session.Stats) {
		perInterval.point(p)
		m.update(p, s)
		if v != nil {
			v.point(p, s)
		}
	}
	return w, func(failed error) error {
		err := errors.Join(perInterval.close(), unlisten())
		if failed != nil {
			for _, name := range []string{o.csv, o.jsonl} {
				if name != "" {
					err = errors.Join(err, os.Remove(name))
				}
			}
			return errors.Join(failed, err)
		}
		return errors.Join(err, writeFile(o.om, m.write))
	}, nil
}

// secret are flags whose values are not told.
var secret = []string{"push-key", "sub-key", "bearer", "header", "push-header", "login-header", "login-body"}

// commandLine is the command by which a run can be repeated, with the secrets left
// out.
func commandLine(args []string) string {
	words := []string{"loadtest", "run"}
	for i := 0; i < len(args); i++ {
		a := args[i]
		name, value, joined := strings.Cut(strings.TrimLeft(a, "-"), "=")
		switch {
		case !slices.Contains(secret, name):
			words = append(words, quote(a))
		case joined && value != "":
			words = append(words, "-"+name+"=SECRET")
		default:
			words = append(words, a, "SECRET")
			i++
		}
	}
	return strings.Join(words, " ")
}

// quote writes a word for a shell.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./:=,%@+", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

package persisttest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spatehub/spate/persist"
)

func checkListed(t *logTest) {
	l, ok := t.log.(persist.Listed)
	if !ok {
		t.Skip("the log is not Listed")
	}
	const n = 300
	t.appendMixed(n)
	check := func() (wrong string) {
		t.Helper()
		want := []string{}
		for _, r := range t.readAll(0, persist.Limit{}) {
			if r.Topic != "" && !slices.Contains(want, r.Topic) {
				want = append(want, r.Topic)
			}
		}
		got, more, err := l.Topics(context.Background(), n)
		t.must(err)
		slices.Sort(want)
		slices.Sort(got)
		if more || !slices.Equal(got, want) {
			return fmt.Sprintf("Topics tells of %q (more: %v), and Read returns those of %q", got, more, want)
		}
		return ""
	}
	if wrong := check(); wrong != "" {
		t.broken("%s", wrong)
	}
	few, more, err := l.Topics(context.Background(), 2)
	t.must(err)
	if len(few) != 2 || !more || few[0] == few[1] {
		t.broken("Topics tells of %q (more: %v) where two were asked for", few, more)
	}
	r, ok := t.log.(persist.Retainer)
	if !ok {
		return
	}
	for _, bounds := range []persist.Retention{{Topics: map[string]persist.Retention{"t1": {MaxCount: 1}}}, {MaxCount: 5}, {MaxCount: 1}} {
		t.must(r.SetRetention(bounds))
		deadline := time.Now().Add(retainFor)
		for wrong := check(); wrong != ""; wrong = check() {
			if time.Now().After(deadline) { // what goes between the two calls is no fault
				t.broken("under %+v: %s", bounds, wrong)
			}
			time.Sleep(time.Millisecond)
		}
	}
	t.must(t.log.Close())
	_, _, err = l.Topics(context.Background(), 1)
	t.wantErr("Topics", err, persist.ErrClosed)
}

package persisttest

import (
	"context"
	"fmt"
	"time"

	"github.com/spatehub/spate/persist"
)

func checkKept(t *logTest) {
	l, ok := t.log.(persist.Counted)
	if !ok {
		t.Skip("the log is not Counted")
	}
	const n = 300
	t.appendMixed(n)
	topics := []string{"t1", "t2", "none", "t3.a", "t3.*", "", "t1"}
	check := func() (wrong string) {
		t.Helper()
		want := map[string]persist.Kept{}
		for _, r := range t.readAll(0, persist.Limit{}) {
			k := want[r.Topic]
			if k.Records++; k.Records == 1 {
				k.First, k.Since = r.ID, time.UnixMilli(r.Time)
			}
			want[r.Topic] = k
		}
		want[""] = persist.Kept{} // is no topic
		got, err := l.Kept(context.Background(), topics)
		t.must(err)
		if len(got) != len(topics) {
			t.broken("%d answers for %d topics", len(got), len(topics))
		}
		for i, topic := range topics {
			if got[i] != want[topic] {
				return fmt.Sprintf("Kept tells of topic %q %+v, and Read returns %+v", topic, got[i], want[topic])
			}
		}
		return ""
	}
	if wrong := check(); wrong != "" {
		t.broken("%s", wrong)
	}
	r, ok := t.log.(persist.Retainer)
	if !ok {
		return
	}
	for _, bounds := range []persist.Retention{
		{Topics: map[string]persist.Retention{"t1": {MaxCount: 7}, "t2": {MaxCount: 1}}}, // in the middle of what was appended together
		{MaxCount: 40, Topics: map[string]persist.Retention{"t1": {MaxCount: 7}}},
		{MaxCount: 40},
	} {
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
	_, err := l.Kept(context.Background(), topics)
	t.wantErr("Kept", err, persist.ErrClosed)
}

package persisttest

import (
	"context"
	"time"

	"github.com/spatehub/spate/persist"
)

// retainFor bounds how long a log may take to do what is little.
const retainFor = 30 * time.Second

func checkRetainer(t *logTest) {
	l, ok := t.log.(persist.Retainer)
	if !ok {
		t.Skip("the log is no Retainer")
	}
	set := func(r persist.Retention) {
		t.Helper()
		t.must(l.SetRetention(r))
		if s, ok := t.log.(persist.Stats); ok {
			if got := s.LogStats().Retention; got.MaxCount != r.MaxCount || len(got.Topics) != len(r.Topics) {
				t.broken("LogStats tells of retention %+v, want %+v", got, r)
			}
		}
	}
	fill := func(from, to uint64, topic string) {
		t.Helper()
		for id := from; id <= to; id++ {
			r := plain(id)
			r.Topic = topic
			t.append(r)
		}
	}
	// await waits until the log keeps the newest n records before last and some more.
	await := func(last, n uint64, topics ...string) {
		t.Helper()
		for deadline := time.Now().Add(retainFor); ; time.Sleep(time.Millisecond) {
			floor := t.log.Floor(topics)
			if floor > last-n {
				t.broken("Floor is %d: less than %d records before %d are left", floor, n, last)
			}
			if floor >= last-2*n {
				return
			}
			if time.Now().After(deadline) {
				t.broken("Floor is %d and does not rise to what %d records allow", floor, n)
			}
		}
	}
	set(persist.Retention{})
	fill(1, 100, "")
	set(persist.Retention{MaxCount: 16})
	await(100, 16)
	for _, r := range t.readAll(0, persist.Limit{}) {
		if r.ID <= t.log.Floor(nil) {
			t.broken("record %d is below the floor", r.ID)
		}
	}
	set(persist.Retention{})
	floor := t.log.Floor(nil)
	fill(101, 200, "t")
	if now := t.log.Floor([]string{"t"}); now != floor {
		t.broken("the floor rose from %d to %d without bounds", floor, now)
	}
	set(persist.Retention{Topics: map[string]persist.Retention{"t": {MaxCount: 16}}})
	await(200, 16, "t")
	set(persist.Retention{Topics: map[string]persist.Retention{"other": {MaxCount: 1}}})
	await(200, 16, "t")

	if err := l.SetRetention(persist.Retention{MaxBytes: -1}); err == nil {
		t.broken("SetRetention takes a negative bound")
	}
	if err := l.SetRetention(persist.Retention{Topics: map[string]persist.Retention{"t": {MaxAge: -1}}}); err == nil {
		t.broken("SetRetention takes a negative bound of a topic")
	}
	t.append(plain(201))
	t.must(t.log.Close())
	t.wantErr("SetRetention", l.SetRetention(persist.Retention{MaxCount: 1}), persist.ErrClosed)
	t.wantErr("Append", t.log.Append(context.Background(), []persist.Record{plain(202)}), persist.ErrClosed)
}

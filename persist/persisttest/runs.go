package persisttest

import (
	"context"

	"github.com/spatehub/spate/persist"
)

func checkRuns(t *logTest) {
	l, ok := t.log.(persist.Runs)
	if !ok {
		t.Skip("the log has no Runs")
	}
	issued := func(want bool, ids ...uint64) {
		t.Helper()
		for _, id := range ids {
			got, err := l.Issued(context.Background(), id)
			t.must(err)
			if got != want {
				t.broken("Issued(%d) = %v, want %v", id, got, want)
			}
		}
	}
	t.appendIDs(3, 5)
	issued(true, 3, 5) // before the first run: what is found
	issued(false, 0, 4, 6)
	t.must(l.BeginRun(10))
	issued(false, 9, 10, 11)
	t.wantErr("Append below the run", t.log.Append(context.Background(), []persist.Record{plain(9)}), persist.ErrOrder)
	t.must(l.BeginRun(20)) // in the place of one without records
	t.appendIDs(22, 25)
	issued(true, 5, 20, 21, 22, 24, 25)
	issued(false, 10, 19, 26)
	t.wantErr("BeginRun at what was issued", l.BeginRun(25), persist.ErrOrder)
	t.wantErr("BeginRun beyond all IDs", l.BeginRun(persist.MaxID+1), persist.ErrRecord)
	t.must(l.BeginRun(40))
	t.appendIDs(41)
	issued(true, 20, 24, 25, 40, 41)
	issued(false, 4, 10, 26, 39, 42)
	if got := l.HighWater(); got != 41 {
		t.broken("HighWater() = %d after record 41", got)
	}
}

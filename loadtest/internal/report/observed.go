package report

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spatehub/spate/loadtest/internal/hist"
)

// observedRows writes what is known of events without a stamp.
func (r *Result) observedRows(t table) {
	e := r.Events
	if !e.Observed {
		return
	}
	t.row("events", "%s, %s, %s of data, %s comments", group(e.Count), showRate(e.PerSecond), showBytes(float64(e.DataBytes)), group(e.Comments))
	text := "longest without an event " + hist.Show(e.Silence)
	if r.Config.Silence > 0 {
		text += fmt.Sprintf(", %s times longer than %s (%d of them at the end)", group(e.Silences), r.Config.Silence, e.Silent)
	}
	t.row("silence", "%s", text)
	if e.IDDuplicates+e.IDDisorder > 0 {
		t.row("IDs", "%s came again, %s below an earlier one", group(e.IDDuplicates), group(e.IDDisorder))
	}
	if r.Config.TimeFrom != "" {
		t.row("delay", "p50 %s, p99 %s by %s; %s events without such a time, %s dated in the future",
			e.Delay.Show(e.Delay.P50), e.Delay.Show(e.Delay.P99), r.Config.TimeFrom, group(e.DelayNone), group(e.DelayAhead))
	}
	for _, name := range e.TypeNames() {
		x := e.Types[name]
		text := fmt.Sprintf("%s: %s, %s", name, group(x.Events), showBytes(float64(x.DataBytes)))
		if x.Delay.Count > 0 {
			text += fmt.Sprintf(", delay p50 %s, p99 %s", hist.Show(x.Delay.P50), hist.Show(x.Delay.P99))
		}
		t.row("type", "%s", text)
	}
}

// TypeNames lists the event types, the most frequent first.
func (e Events) TypeNames() []string {
	return slices.SortedFunc(maps.Keys(e.Types), func(a, b string) int {
		if d := e.Types[b].Events - e.Types[a].Events; d != 0 {
			return int(d)
		}
		return slices.Compare([]byte(a), []byte(b))
	})
}

// completionRows writes how finite streams went.
func (r *Result) completionRows(t table) {
	c := r.Completions
	if c == nil {
		return
	}
	t.row("completions", "%s, %s; %s truncated, %s refused, %s never begun, %s under way at the end",
		group(c.Completed), showRate(c.PerSecond), group(c.Truncated), group(c.Refused), group(c.Unstarted), group(int64(c.Unfinished)))
	t.row("tokens", "%s, %s", group(c.Tokens), showRate(c.TokensPerSecond))
}

package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// Pages of a filter hold those that fit, each once, and no other; whatever the filter and the size of the pages.
func TestConnectionsAreFiltered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		for i := range 60 {
			sub := engine.Subscription{UID: fmt.Sprintf("u%d", i%3), Topics: []string{fmt.Sprintf("t%d.x", i%4)}}
			if i%10 == 0 {
				sub.Topics = []string{"t1.*"}
			}
			join(t, h, sub, -1)
		}
		settled(h)
		find := func(which engine.ConnectionFilter, limit int) (n int) {
			seen := map[engine.ConnectionID]bool{}
			for cursor := ""; ; {
				list, next, err := h.Connections(t.Context(), which, cursor, limit)
				require.NoError(t, err)
				for _, c := range list {
					require.False(t, seen[c.ID], "twice")
					seen[c.ID] = true
					require.Contains(t, []string{c.UID, ""}, which.UID)
				}
				if cursor = next; next == "" {
					return len(seen)
				}
			}
		}
		for _, limit := range []int{1, 7, 1000} {
			require.Equal(t, 60, find(engine.ConnectionFilter{}, limit))
			require.Equal(t, 20, find(engine.ConnectionFilter{UID: "u1"}, limit))
			require.Equal(t, 21, find(engine.ConnectionFilter{Topic: "t1.x"}, limit), "15 by name, 6 by a pattern")
			require.Equal(t, 7, find(engine.ConnectionFilter{Topic: "t1.x", UID: "u1"}, limit))
			require.Equal(t, 60, find(engine.ConnectionFilter{State: "live"}, limit))
			require.Zero(t, find(engine.ConnectionFilter{State: "lagging"}, limit))
			require.Zero(t, find(engine.ConnectionFilter{Address: "10.0.0.1"}, limit))
			require.Zero(t, find(engine.ConnectionFilter{Topic: "none"}, limit))
		}
	})
}

// Invariant 12: what no connection can be as is refused by its name.
func TestFiltersOfNoConnectionAreRefused(t *testing.T) {
	h := newHub(t)
	join(t, h, engine.Subscription{Topics: []string{"a.*"}}, -1)
	settled(h)
	for field, which := range map[string]engine.ConnectionFilter{
		"state":  {State: "gone"},
		"topic":  {Topic: "a.*"},
		"topic ": {Topic: "a\nb"},
	} {
		_, _, err := h.Connections(t.Context(), which, "", 1)
		var wrong *wire.FieldError
		require.ErrorAs(t, err, &wrong, field)
		require.Equal(t, strings.TrimSpace(field), wrong.Field)
	}
}

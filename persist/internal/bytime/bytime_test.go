package bytime_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist/internal/bytime"
)

type chunks []int64

func (c chunks) Len() int           { return len(c) }
func (c chunks) Newest(i int) int64 { return c[i] }

func (c chunks) Reach(i int) int64 {
	reach := int64(0)
	for _, t := range c[:i+1] {
		reach = max(reach, t)
	}
	return reach
}

// TestFirst holds that no chunk is left out that may hold a record of the time or
// later, and that a clock which was wrong for a while brings no more than it must.
func TestFirst(t *testing.T) {
	const now = 100
	for name, c := range map[string]struct {
		newest chunks
		t      int64
		want   int
	}{
		"empty":                        {nil, 10, 0},
		"between":                      {chunks{10, 20, 30}, 15, 1},
		"just":                         {chunks{10, 20, 30}, 20, 1},
		"before all":                   {chunks{10, 20, 30}, 0, 0},
		"after all":                    {chunks{10, 20, 30}, 31, 3},
		"one ahead":                    {chunks{10, 900, 20, 30}, 25, 3},
		"one ahead, where it begins":   {chunks{10, 900, 20, 30}, 15, 1},
		"some ahead, where it begins":  {chunks{10, 900, 800, 20, 30}, 15, 1},
		"ahead at the end":             {chunks{10, 20, 900}, 50, 2},
		"ahead at the end, all":        {chunks{10, 20, 900}, 5, 0},
		"all ahead":                    {chunks{900, 901}, 50, 0},
		"one behind":                   {chunks{10, 50, 5, 60}, 40, 1},
		"behind, and the time is then": {chunks{50, 5, 60}, 4, 0},
	} {
		require.Equal(t, c.want, bytime.First(c.newest, c.t, now), name)
	}
}

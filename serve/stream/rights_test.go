package stream

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// (Invariant 4.) Rights whose hash is that of others stay their own, in whatever order they come and go, and none stay that nobody
// has.
func TestRightsOfTheSameHashAreToldApart(t *testing.T) {
	var s sharedRights
	grants := make([]Grant, 4)
	for i := range grants {
		grants[i].Push.Users = []string{fmt.Sprint("user", i)}
	}
	for gone := range grants {
		var have []*rights
		for i := range grants {
			r := s.share(nil, &grants[i], 7)
			require.Same(t, r, s.share(nil, &grants[i], 7))
			have = append(have, r)
		}
		for i := range grants {
			n := (gone + i) % len(grants)
			s.release(have[n])
			s.release(have[n])
			for j := i + 1; j < len(grants); j++ {
				m := (gone + j) % len(grants)
				require.Same(t, have[m], s.share(nil, &grants[m], 7))
				s.release(have[m])
				require.Equal(t, grants[m], have[m].grant())
			}
		}
		require.Empty(t, s.byHash)
	}
}

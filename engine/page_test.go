package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spatehub/spate/persist"
	"github.com/stretchr/testify/require"
)

// A page counts the names in it; of a user's own page those of others are gone.
func TestPagesCountNames(t *testing.T) {
	users := make([]string, 1000)
	for i := range users {
		users[i] = fmt.Sprintf("user-%095d", i)
	}
	read := func() persist.Page {
		return persist.Page{UpTo: 7, Records: []persist.Record{
			{ID: 7, Users: users, Topic: strings.Repeat("t", 100), Key: strings.Repeat("k", 100), Frame: []byte("data: x\n\n")},
		}}
	}
	mixed := newPage(0, read(), FormPlain, nil)
	require.Greater(t, mixed.cost("kind"), 1000*(100+16)+200)
	own := newPage(0, slim(read(), users[500]), FormPlain, nil)
	require.Less(t, own.cost("kind"), 2000)
	all := func(string) bool { return true }
	require.True(t, own.records[0].For(users[500], all))
	require.False(t, own.records[0].For(users[501], all))
	require.False(t, own.records[0].For(users[500], nil), "topics are still asked for")
}

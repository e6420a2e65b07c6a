package procfs

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProcessorTimeIsFoundBehindAnyName(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 1234 66 7 8 20 0 5 0 100"
	for _, name := range []string{"spate", "a b", "x) S 1 (", "))"} {
		d, err := parseProcessorTime(strings.NewReader("42 (" + name + ")" + rest))
		require.NoError(t, err, name)
		require.Equal(t, 13*time.Second, d, name)
	}
	for _, text := range []string{"", "42 (x) S 1 2", "42 (x) S 1 2 3 4 5 6 7 8 9 10 a b"} {
		_, err := parseProcessorTime(strings.NewReader(text))
		require.ErrorIs(t, err, ErrFormat, text)
	}
}

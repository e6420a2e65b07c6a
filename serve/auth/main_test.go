package auth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/serve/cors"
	"github.com/spatehub/spate/serve/stream"
)

func TestMain(m *testing.M) {
	// The goroutines there are now belong to the default pool of ants, which nobody uses.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// begin is the time in these tests.
var begin = time.Unix(1_800_000_000, 0).UTC()

func clock() time.Time { return begin }

// ask makes a request with headers, in pairs.
func ask(target string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://hub.example.com"+target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func withBearer(token string) *http.Request { return ask("/events", "Authorization", "Bearer "+token) }

// refused requires an answer with the status that says what.
func refused(t testing.TB, err error, status int, what string) {
	t.Helper()
	var e *stream.Error
	require.True(t, errors.As(err, &e), "%v", err)
	require.Equal(t, status, e.Status, "%s: %s", e.Field, e.Message)
	require.Contains(t, e.Field+": "+e.Message, what)
}

func origins(t testing.TB, list ...string) cors.Origins {
	t.Helper()
	o, err := cors.ParseOrigins(list...)
	require.NoError(t, err)
	return o
}

package stream_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/stream"
)

func TestWriteError(t *testing.T) {
	for name, tc := range map[string]struct {
		err    stream.Error
		header http.Header
		body   string
	}{
		"plain":         {stream.Error{Status: 400, Message: "no", Field: "f"}, http.Header{}, `{"title":"Bad Request","status":400,"detail":"no","field":"f"}`},
		"unauthorized":  {stream.Error{Status: 401, Message: "who"}, http.Header{"Www-Authenticate": {"Bearer"}}, `{"title":"Unauthorized","status":401,"detail":"who"}`},
		"unavailable":   {stream.Error{Status: 503, Message: "later"}, http.Header{"Retry-After": {"2"}}, `{"title":"Service Unavailable","status":503,"detail":"later"}`},
		"a given time":  {stream.Error{Status: 503, Message: "later", RetryAfter: time.Minute}, http.Header{"Retry-After": {"60"}}, `{"title":"Service Unavailable","status":503,"detail":"later"}`},
		"too fast":      {stream.Error{Status: 429, Message: "slow", RetryAfter: 1001 * time.Millisecond}, http.Header{"Retry-After": {"2"}}, `{"title":"Too Many Requests","status":429,"detail":"slow"}`},
		"a moment":      {stream.Error{Status: 429, Message: "slow", RetryAfter: 1}, http.Header{"Retry-After": {"1"}}, `{"title":"Too Many Requests","status":429,"detail":"slow"}`},
		"negative time": {stream.Error{Status: 429, Message: "slow", RetryAfter: -1}, http.Header{}, `{"title":"Too Many Requests","status":429,"detail":"slow"}`},
	} {
		t.Run(name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			stream.WriteError(rec, &tc.err)
			require.Equal(t, tc.err.Status, rec.Code)
			require.JSONEq(t, tc.body, rec.Body.String())
			tc.header.Set("Content-Type", "application/problem+json")
			tc.header.Set("Cache-Control", "no-store")
			tc.header.Set("X-Content-Type-Options", "nosniff")
			require.Equal(t, tc.header, rec.Header())
		})
	}
	rec := httptest.NewRecorder()
	rec.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	stream.WriteError(rec, &stream.Error{Status: 401})
	require.Equal(t, []string{`Bearer error="invalid_token"`}, rec.Header()["Www-Authenticate"])
}

// What an authorizer says for the log only is not told to the caller.
func TestAuthorizerError(t *testing.T) {
	require.Equal(t, &stream.Error{Status: 403, Message: "not allowed"}, stream.AuthorizerError(errors.New("the database is at 10.0.0.7")))
	own := &stream.Error{Status: 401, Message: "expired"}
	require.Same(t, own, stream.AuthorizerError(own))
	require.Equal(t, 403, stream.AuthorizerError(&stream.Error{Status: 200, Message: "x"}).Status)
}

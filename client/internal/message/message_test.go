package message_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client/internal/message"
)

func TestOf(t *testing.T) {
	for _, tc := range []struct{ mediaType, body, want string }{
		{"application/json", `{"error":"sign in first"}`, "sign in first"},
		{"application/json", `{"error":"is no ID","field":"last_event_id"}`, "last_event_id: is no ID"},
		{"application/json", `{"error":{"message":"quota","type":"x"}}`, "quota"},
		{"application/json", `{"error":{"code":7}}`, ""},
		{"application/json", `{"message":"not today","code":3}`, "not today"},
		{"application/json", `"gone"`, "gone"},
		{"application/problem+json", `{"type":"about:blank","title":"Out of credit","status":403,"detail":"30 are missing"}`, "Out of credit: 30 are missing"},
		{"application/problem+json", `{"title":"Out of credit"}`, "Out of credit"},
		{"application/problem+json", `{"detail":"30 are missing"}`, "30 are missing"},
		{"application/problem+json", `{"title":"Bad Request","status":400,"detail":"is no ID","field":"last_event_id"}`, "last_event_id: is no ID"},
		{"application/problem+json", `{"title":"Bad Request","status":403,"detail":"no"}`, "Bad Request: no"},
		{"application/json", `{"error":7}`, ""},
		{"application/json", `[1]`, ""},
		{"application/json", `{"error":"cut o`, ""},
		{"text/plain", "no\r\n such\x1b[2J \xff stream\n", "no such [2J \ufffd stream"},
		{"text/html", "<h1>502</h1>", ""},
		{"image/png", "PNG", ""},
		{"", "x", ""},
	} {
		require.Equal(t, tc.want, message.Of(tc.mediaType, []byte(tc.body)), tc.body)
	}
	long := message.Of("text/plain", []byte("a"+strings.Repeat("é", 1000)))
	require.LessOrEqual(t, len(long), message.Max)
	require.True(t, utf8.ValidString(long))
	require.True(t, strings.HasSuffix(long, "é…"))
}

func TestOfData(t *testing.T) {
	for data, want := range map[string]string{
		`{"error":{"message":"overloaded"}}`: "overloaded",
		`{"code":7}`:                         `{"code":7}`,
		"plain\ntext":                        "plain text",
		"":                                   "",
	} {
		require.Equal(t, want, message.OfData(data))
	}
}

package jetstream

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// Invariants 4 and 7: what is encoded is decoded as it was, whatever names and data are.
func TestMessageRoundTrip(t *testing.T) {
	c := newConfig(nil)
	for _, e := range []wire.Event{
		{Data: []byte("plain")},
		{Data: []byte("")},
		{Data: []byte("two\nlines\r\n"), Event: "type with spaces ", Key: " key: %41,", Retry: 1500 * time.Millisecond},
		{Data: []byte("x"), Topic: "a.b.c é"},
		{Data: []byte("x"), Users: []string{"u"}},
		{Data: []byte("x"), Users: []string{"*"}, Topic: "private topic"},
		{Data: []byte("x"), Users: []string{"a,b", "c%2Cd", " e ", "é"}},
		{Data: []byte("x"), Users: []string{"a,b", "c%2Cd"}, Topic: "t"},
		{Data: []byte("x"), Topic: strings.Repeat("t", wire.MaxNameLen)},
	} {
		m, err := c.encode(&e)
		require.NoError(t, err)
		require.NotContains(t, m.Subject, " ")
		got, err := c.decode(m.Subject, m.Header, m.Data)
		require.NoError(t, err)
		require.Equal(t, &e, got)
	}
	for data, want := range map[any]string{"text": "text", 7: "7"} {
		m, err := c.encode(&wire.Event{Data: data})
		require.NoError(t, err)
		require.Equal(t, want, string(m.Data))
	}
	m, err := c.encode(&wire.Event{Data: json.RawMessage(`{"a":1}`)})
	require.NoError(t, err)
	require.Equal(t, `{"a":1}`, string(m.Data))
	_, err = c.encode(&wire.Event{Data: make(chan int)})
	require.Error(t, err)
}

// A header that is not known is passed over, a format that is not known is not.
func TestMessageOfOtherVersions(t *testing.T) {
	c := newConfig(nil)
	e, err := c.decode("spate.b", nats.Header{headFormat: {"1"}, "Spate-Later": {"x"}}, []byte("x"))
	require.NoError(t, err)
	require.Equal(t, &wire.Event{Data: []byte("x")}, e)
	var newer *errNewer
	_, err = c.decode("spate.b", nats.Header{headFormat: {"2"}}, []byte("x"))
	require.ErrorAs(t, err, &newer)
	for subject, h := range map[string]nats.Header{
		"spate.b":   {},
		"spate.b.x": {headFormat: {"1"}},
		"spate.t.":  {headFormat: {"1"}},
		"spate.u.*": {headFormat: {"1"}},
		"spate.m":   {headFormat: {"1"}},
		"spate.x":   {headFormat: {"1"}},
		"other.b":   {headFormat: {"1"}, headType: {"%zz"}},
	} {
		_, err := c.decode(subject, h, []byte("x"))
		require.Error(t, err, subject)
		require.NotErrorAs(t, err, &newer)
	}
	for _, h := range []nats.Header{{headUsers: {"u"}}, {headTopic: {"t"}}, {headType: {"gap"}}, {headType: {"a%0Ab"}}, {headRetry: {"-1"}}, {headRetry: {"x"}}} {
		h[headFormat] = []string{"1"}
		_, err := c.decode("spate.b", h, []byte("x"))
		require.Error(t, err, "%v", h)
	}
}

// Whatever somebody publishes to the stream, a node takes it for an event that can be
// sent, or for none.
func FuzzDecode(f *testing.F) {
	f.Add("spate.b", "1", "type", "", "k", "", "5", []byte("x"))
	f.Add("spate.m", "1", "", "t", "", "a,b%2C", "", []byte("x\ny"))
	f.Add("spate.u.dQ", "1", "", "t", "", "", "", []byte("x"))
	f.Add("spate.t.dQ", "1", "", "", "", "", "", []byte("x"))
	f.Fuzz(func(t *testing.T, subject, version, event, topic, key, users, retry string, data []byte) {
		c := newConfig(nil)
		h := nats.Header{}
		for k, v := range map[string]string{headFormat: version, headType: event, headTopic: topic, headKey: key, headUsers: users, headRetry: retry} {
			if v != "" {
				h.Set(k, v)
			}
		}
		e, err := c.decode(subject, h, data)
		if err != nil {
			return
		}
		require.NoError(t, e.Validate())
		require.NoError(t, e.ValidateType())
		require.True(t, e.Users == nil || len(e.Users) > 0)
		m, err := c.encode(e)
		require.NoError(t, err)
		again, err := c.decode(m.Subject, m.Header, m.Data)
		require.NoError(t, err)
		require.Equal(t, e, again)
	})
}

// What of a stream does not do is said, all at once.
func TestDifferences(t *testing.T) {
	c := newConfig([]Option{WithReplicas(3)})
	have := c.wanted()
	have.Metadata[metaBase] = "5"
	require.Empty(t, c.differences(&have))
	have.MaxAge, have.MaxBytes = 7, 1000
	require.Empty(t, c.differences(&have), "bounds are the operator's")
	have.Replicas, have.DenyDelete, have.AllowAtomicPublish, have.Metadata = 1, false, false, nil
	require.Len(t, c.differences(&have), 6)
	require.Empty(t, newConfig(nil).differences(&have)[:0])
}

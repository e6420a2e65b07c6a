package stream_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

func patterns(t testing.TB, texts ...string) []wire.Pattern {
	t.Helper()
	list := make([]wire.Pattern, len(texts))
	for i, s := range texts {
		var err error
		list[i], err = wire.ParsePattern(s)
		require.NoError(t, err)
	}
	return list
}

// refusedAs requires a 403 about the field that names what.
func refusedAs(t *testing.T, err error, field, what string) {
	t.Helper()
	var e *stream.Error
	require.True(t, errors.As(err, &e), "%v", err)
	require.Equal(t, http.StatusForbidden, e.Status)
	require.Equal(t, field, e.Field)
	require.Contains(t, e.Message, what)
}

// (Invariant 4: what is asked for beyond the grant is refused with its name, never less given.)
func TestGrantReads(t *testing.T) {
	g := stream.Grant{Read: patterns(t, "news", "orders.*.eu", "mine.>")}
	for _, asked := range []string{"news", "orders.7.eu", "orders.*.eu", "mine.a", "mine.*.b", "mine.>"} {
		require.NoError(t, g.CheckRead(patterns(t, "news", asked)), asked)
	}
	for _, asked := range []string{"new", "mine", "orders.>", "orders.*.*", "*", ">", "orders.7.eu.x", "mine2.a"} {
		refusedAs(t, g.CheckRead(patterns(t, "news", asked, "other")), "topic", `"`+asked+`"`)
	}
	require.NoError(t, g.CheckRead(nil))
	none := stream.Grant{}
	refusedAs(t, none.CheckRead(patterns(t, "a")), "topic", `"a"`)
	all := stream.FullGrant("u")
	require.NoError(t, all.CheckRead(patterns(t, ">", "*", "a..b", "a*")))
}

func TestGrantPushes(t *testing.T) {
	event := func(topic string) *wire.Event { return &wire.Event{Data: "x", Topic: topic} }
	some := stream.PushRights{Topics: patterns(t, "orders.*"), Users: []string{"tom", "ann"}}
	everyone, anyUser := some, some
	everyone.Everyone, anyUser.AnyUser = true, true
	for name, tc := range map[string]struct {
		rights stream.PushRights
		uids   []string
		topics []string
		field  string // "": allowed
		what   string
	}{
		"topic":                     {some, nil, []string{"orders.1", "orders.1", "orders.2"}, "", ""},
		"other topic":               {some, nil, []string{"orders.1", "orders.1.x"}, "events[1].topic", `"orders.1.x"`},
		"users":                     {some, []string{"tom", "ann"}, []string{""}, "", ""},
		"other user":                {some, []string{"tom", "eve"}, []string{""}, "uids[1]", `"eve"`},
		"user and topic":            {some, []string{"tom"}, []string{"orders.1", ""}, "", ""},
		"user and other topic":      {some, []string{"tom"}, []string{"", "prices"}, "events[1].topic", `"prices"`},
		"other user and topic":      {some, []string{"eve"}, []string{"orders.1"}, "uids[0]", `"eve"`},
		"everyone":                  {some, nil, []string{"orders.1", ""}, "events[1]", "everyone"},
		"everyone, granted":         {everyone, nil, []string{""}, "", ""},
		"everyone is not any user":  {everyone, []string{"eve"}, []string{""}, "uids[0]", `"eve"`},
		"everyone is not any topic": {everyone, nil, []string{"prices"}, "events[0].topic", `"prices"`},
		"any user":                  {anyUser, []string{"eve"}, []string{""}, "", ""},
		"any user is not everyone":  {anyUser, nil, []string{""}, "events[0]", "everyone"},
		"no rights, topic":          {stream.PushRights{}, nil, []string{"a"}, "events[0].topic", `"a"`},
		"no rights, user":           {stream.PushRights{}, []string{"a"}, []string{""}, "uids[0]", `"a"`},
		"no rights, everyone":       {stream.PushRights{}, nil, []string{""}, "events[0]", "everyone"},
		"all rights":                {stream.FullGrant("").Push, []string{"a"}, []string{"", "b"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := stream.Grant{Push: tc.rights}
			var events []*wire.Event
			for _, topic := range tc.topics {
				events = append(events, event(topic))
			}
			err := g.CheckPush(tc.uids, events)
			if tc.field == "" {
				require.NoError(t, err)
				return
			}
			refusedAs(t, err, tc.field, tc.what)
		})
	}
}

func TestGrantExpires(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	g := stream.Grant{}
	require.False(t, g.ExpiredAt(now))
	g.Expires = now
	require.True(t, g.ExpiredAt(now))
	require.False(t, g.ExpiredAt(now.Add(-1)))
}

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func settingsOf(t *testing.T, env map[string]string, args ...string) *flagSet {
	t.Helper()
	c, err := parseServe(streams{env: func(name string) (string, bool) {
		text, ok := env[name]
		return text, ok
	}}, args)
	require.NoError(t, err)
	return c.settings
}

func named(all []setting, name string) setting {
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return setting{}
}

// What is shown is in force: secrets are not, a reload changes what it may and nothing else.
func TestSettingsThatAreShown(t *testing.T) {
	env := map[string]string{"SPATE_JWT_SECRET": "0123456789abcdef0123456789abcdef", "SPATE_JWT_ISSUER": "me", "SPATE_CLUSTER": "nats://tom:sesame@10.0.0.1:4222", "SPATE_JWT_ANY_AUDIENCE": "true"}
	board := newSettingsBoard(settingsOf(t, env, "--retry", "4s"))
	all := *board.all.Load()
	require.Equal(t, setting{"jwt-secret", hidden, "SPATE_JWT_SECRET", true, true}, named(all, "jwt-secret"))
	require.Equal(t, setting{"retry", "4s", "flag", true, false}, named(all, "retry"))
	require.Equal(t, setting{"heartbeat", "15s", "default", false, false}, named(all, "heartbeat"))
	require.Equal(t, setting{"memory", false, "default", false, false}, named(all, "memory"))
	require.NotContains(t, named(all, "cluster").Value.([]string)[0], "sesame")
	require.Nil(t, named(all, "token-file").Value)

	env["SPATE_JWT_ISSUER"] = "you"
	board.replace(settingsOf(t, env, "--retry", "5s"), reloadable)
	now := *board.all.Load()
	require.Equal(t, "you", named(now, "jwt-issuer").Value)
	require.Equal(t, "4s", named(now, "retry").Value, "takes a restart")
	require.Len(t, now, len(all))
}

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A user that was revoked is refused after a restart too; what could not be written down, or was one too many, is answered
// by 503, names the bound, and ends no stream.
func TestRevokedUsersStayOutAfterARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	secret := secretFile(t)
	tokens, ops := tokenFile(t, `"admin":true`)
	args := []string{"--data", dir, "--no-sync", "--jwt-secret-file", secret, "--token-file", tokens}
	tom := as(signed(t, `{"read":["a"]}`))
	s := startServe(t, args...)
	status, text := s.get("/history?topic=a", tom...)
	require.Equal(t, 200, status, text)
	status, text = s.do("DELETE", "/users/tom", "", as(ops)...)
	require.Equal(t, 200, status, text)
	for range 2 {
		status, text = s.get("/history?topic=a", tom...)
		require.Equal(t, 403, status, text)
		status, text = s.do("HEAD", "/events?topic=a", "", tom...)
		require.Equal(t, 403, status, text)
		require.Equal(t, exitOK, s.stop(), s.err.String())
		s = startServe(t, args...)
	}

	// What stands in the way of the file, root's rights or not.
	file := filepath.Join(dir, revocationsFile)
	require.NoError(t, os.Rename(file, file+".away"))
	require.NoError(t, os.Mkdir(file, 0o700))
	status, text = s.do("DELETE", "/users/ann", "", as(ops)...)
	require.Equal(t, 503, status, text)
	require.Contains(t, text, "nothing was revoked")
	require.NotContains(t, text, dir)
	require.Contains(t, s.err.String(), "could not be revoked")
	require.Equal(t, exitOK, s.stop(), s.err.String())
	require.Contains(t, failsWith(t, append(args, "--listen", "127.0.0.1:0")...), "cannot read who was revoked")
	require.NoError(t, os.Remove(file))
	require.NoError(t, os.WriteFile(file, []byte("{}\n"), 0o600))
	require.Contains(t, failsWith(t, append(args, "--listen", "127.0.0.1:0")...), "line 1")
}

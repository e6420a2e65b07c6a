//go:build linux

package rig

import (
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spatehub/spate/bench/internal/server"
)

// bearers are the tokens of n streams, each of a user of its own, as identity providers make them: some claims, and the
// rights of the stream.
func bearers(secret string, n int) ([]string, error) {
	list := make([]string, n)
	for i := range list {
		user := server.Name('u', uint32(i))
		var err error
		list[i], err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"iss": "https://id.example.com", "sub": user, "jti": "session-" + user, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
			"spate": map[string]any{"read": []string{"orders.>", "*"}, "limits": map[string]any{"connections": 5}},
		}).SignedString([]byte(secret))
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

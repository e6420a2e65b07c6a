package adapter

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/spatehub/spate/loadtest/internal/config"
)

func bearerAuth(a *Adapter, c *config.Config) error {
	if c.PushKey != "" {
		a.pushHead = append(a.pushHead, Header{"Authorization", "Bearer " + c.PushKey})
	}
	return nil
}

func apiKeyAuth(a *Adapter, c *config.Config) error {
	if c.PushKey != "" {
		a.pushHead = append(a.pushHead, Header{"X-API-Key", c.PushKey})
	}
	return nil
}

// mercureAuth signs tokens that allow everything, from the hub's secrets; a key
// that is a token already is used as it is.
func mercureAuth(a *Adapter, c *config.Config) error {
	if c.Publish {
		if c.PushKey == "" {
			return errors.New("-adapter mercure: give the hub's publisher secret, or a token, with -push-key")
		}
		a.pushHead = append(a.pushHead, Header{"Authorization", "Bearer " + mercureToken(c.PushKey, "publish")})
	}
	if c.SubKey != "" {
		a.subHead = append(a.subHead, Header{"Authorization", "Bearer " + mercureToken(c.SubKey, "subscribe")})
	}
	return nil
}

func mercureToken(key, claim string) string {
	if strings.Count(key, ".") == 2 {
		return key
	}
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		enc.EncodeToString([]byte(`{"mercure":{"`+claim+`":["*"]}}`))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed))
	return signed + "." + enc.EncodeToString(mac.Sum(nil))
}

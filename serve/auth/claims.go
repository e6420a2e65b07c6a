package auth

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claimSet is the claims of a token by their exact names. It implements
// [jwt.Claims].
type claimSet struct {
	exp, iat, nbf *jwt.NumericDate
	iss, sub, jti string
	aud           jwt.ClaimStrings
	all           map[string]json.RawMessage
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *claimSet) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &c.all); err != nil {
		return err
	}
	if len(c.all) > maxClaims {
		return fmt.Errorf("there are more than %d claims", maxClaims)
	}
	for name, read := range map[string]func(json.RawMessage) error{
		"exp": func(v json.RawMessage) (err error) { c.exp, err = numericDate(v); return err },
		"iat": func(v json.RawMessage) (err error) { c.iat, err = numericDate(v); return err },
		"nbf": func(v json.RawMessage) (err error) { c.nbf, err = numericDate(v); return err },
		"iss": func(v json.RawMessage) error { return json.Unmarshal(v, &c.iss) },
		"sub": func(v json.RawMessage) error { return json.Unmarshal(v, &c.sub) },
		"jti": func(v json.RawMessage) error { return json.Unmarshal(v, &c.jti) },
		"aud": func(v json.RawMessage) error { return json.Unmarshal(v, &c.aud) },
	} {
		if v, has := c.all[name]; has {
			if string(v) == "null" {
				return fmt.Errorf("%s is null", name)
			}
			if err := read(v); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if len(c.jti) > maxKid {
		return fmt.Errorf("jti has more than %d bytes", maxKid)
	}
	return nil
}

// numericDate reads seconds since 1970: a number, and one that is a time.
func numericDate(v json.RawMessage) (*jwt.NumericDate, error) {
	var f float64
	if err := json.Unmarshal(v, &f); err != nil {
		return nil, err
	}
	const latest = 253_402_300_799 // the year 9999
	if f < 0 || f > latest {
		return nil, fmt.Errorf("%g is no time", f)
	}
	whole, part := math.Modf(f)
	return &jwt.NumericDate{Time: time.Unix(int64(whole), int64(part*1e9))}, nil
}

// These implement [jwt.Claims].
func (c *claimSet) GetExpirationTime() (*jwt.NumericDate, error) { return c.exp, nil }
func (c *claimSet) GetIssuedAt() (*jwt.NumericDate, error)       { return c.iat, nil }
func (c *claimSet) GetNotBefore() (*jwt.NumericDate, error)      { return c.nbf, nil }
func (c *claimSet) GetIssuer() (string, error)                   { return c.iss, nil }
func (c *claimSet) GetSubject() (string, error)                  { return c.sub, nil }
func (c *claimSet) GetAudience() (jwt.ClaimStrings, error)       { return c.aud, nil }

package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claimSet is the claims of a token by their exact names. It implements
// [jwt.Claims].
type claimSet struct {
	exp, iat, nbf *jwt.NumericDate
	iss, sub, jti string
	aud           jwt.ClaimStrings
	all           []member
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *claimSet) UnmarshalJSON(b []byte) error {
	var err error
	if c.all, err = members("", b); err != nil {
		return err
	}
	if len(c.all) > maxClaims {
		return fmt.Errorf("there are more than %d claims", maxClaims)
	}
	for _, m := range c.all {
		if err := c.read(m.name, m.value); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if len(c.jti) > maxKid {
		return fmt.Errorf("jti has more than %d bytes", maxKid)
	}
	return nil
}

// read takes a claim in that counts for whether the token is good.
func (c *claimSet) read(name string, v json.RawMessage) (err error) {
	switch name {
	case "exp":
		c.exp, err = numericDate(v)
	case "iat":
		c.iat, err = numericDate(v)
	case "nbf":
		c.nbf, err = numericDate(v)
	case "iss":
		err = text(v, &c.iss)
	case "sub":
		err = text(v, &c.sub)
	case "jti":
		err = text(v, &c.jti)
	case "aud":
		if string(v) == "null" {
			return errNull
		}
		err = json.Unmarshal(v, &c.aud)
	}
	return err
}

var errNull = errors.New("is null")

// text reads a claim that is a text.
func text(v json.RawMessage, to *string) error {
	switch {
	case string(v) == "null":
		return errNull
	case v[0] == '"':
		return textOf(v, to)
	}
	return json.Unmarshal(v, to)
}

// numericDate reads seconds since 1970: a number, and one that is a time.
func numericDate(v json.RawMessage) (*jwt.NumericDate, error) {
	f, err := strconv.ParseFloat(string(v), 64) // takes more than JSON's numbers, but v is JSON
	if err != nil {
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

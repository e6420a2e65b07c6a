package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spatehub/spate/serve/stream"
)

// Bounds and defaults of JWTs.
const (
	defaultTokenBytes = 8 << 10
	maxKid            = 256
	maxClaims         = 256
	maxSkew           = 5 * time.Minute

	// RightsClaim is the claim that has a token's rights, as [ParseRights] reads
	// them, unless a [JWTConfig] names another.
	RightsClaim = "spate"
)

// JWTConfig says which tokens [JWT] takes, and what they allow.
type JWTConfig struct {
	// Keys verify them.
	Keys Keys

	// Source is where requests may have them.
	Source Source

	// Issuer is what a token's iss has to be; "" is any.
	Issuer string

	// Audience are the values of which a token's aud has to have one. Without any,
	// a token that has an aud is refused: it is meant for somebody else.
	Audience []string

	// AnyAudience takes tokens whatever their aud.
	AnyAudience bool

	// Skew is how far the issuer's clock may be from ours; 5 minutes at most.
	Skew time.Duration

	// NoExpiry takes tokens without exp, which are good for ever.
	NoExpiry bool

	// MaxBytes bounds a token; 0 is 8 KiB.
	MaxBytes int

	// UserClaim has the user's name; "" is sub. A token without it is anonymous.
	UserClaim string

	// RightsClaim has the rights; "" is [RightsClaim].
	RightsClaim string

	// Default are rights and limits of tokens without that claim.
	Default stream.Grant

	now func() time.Time
}

// JWT returns an authorizer for signed tokens (RFC 7519) of the algorithms HS256,
// HS384, HS512, RS*, PS*, ES* and EdDSA. A key is for the algorithms of its kind
// alone, so that a token can't choose how it is verified; one that says "none", or
// has header parameters that must be understood (crit), or is of another type than
// JWT or at+jwt, is refused. Keys that a token brings or points to are not looked
// at, and its kid is compared and nothing else.
//
// A token's jti is the grant's ID. Without one it is the hash of the token.
func JWT(c JWTConfig) (stream.Authorizer, error) {
	if c.Keys == nil {
		return nil, errors.New("JWT: there are no keys")
	}
	if c.Skew < 0 || c.Skew > maxSkew {
		return nil, fmt.Errorf("JWT: the clocks may be 0 to %s apart, not %s", maxSkew, c.Skew)
	}
	if c.AnyAudience && len(c.Audience) > 0 {
		return nil, errors.New("JWT: any audience, and these ones: one contradicts the other")
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = defaultTokenBytes
	}
	if c.UserClaim == "" {
		c.UserClaim = "sub"
	}
	if c.RightsClaim == "" {
		c.RightsClaim = RightsClaim
	}
	if c.now == nil {
		c.now = time.Now
	}
	options := []jwt.ParserOption{jwt.WithValidMethods(allAlgs), jwt.WithStrictDecoding(), jwt.WithLeeway(c.Skew), jwt.WithTimeFunc(c.now),
		jwt.WithIssuedAt()} // revoking its user would not take back what claims to come later
	if !c.NoExpiry {
		options = append(options, jwt.WithExpirationRequired())
	}
	if c.Issuer != "" {
		options = append(options, jwt.WithIssuer(c.Issuer))
	}
	if len(c.Audience) > 0 {
		options = append(options, jwt.WithAudience(c.Audience...))
	}
	a := &jwtAuthorizer{JWTConfig: c, parser: jwt.NewParser(options...)}
	return a.authorize, nil
}

type jwtAuthorizer struct {
	JWTConfig
	parser *jwt.Parser
	rights lastRights
}

func (a *jwtAuthorizer) authorize(r *http.Request) (stream.Grant, error) {
	text, err := a.Source.token(r)
	if err != nil {
		return stream.Grant{}, err
	}
	if strings.Count(text[:min(len(text), a.MaxBytes)], ".") != 2 {
		return stream.Grant{}, errOther // of another kind
	}
	if len(text) > a.MaxBytes {
		return stream.Grant{}, errNoGood
	}
	var claims claimSet
	if _, err := a.parser.ParseWithClaims(text, &claims, a.keys(r.Context())); err != nil {
		return stream.Grant{}, jwtError(err)
	}
	if len(a.Audience) == 0 && !a.AnyAudience && len(claims.aud) > 0 {
		return stream.Grant{}, noLonger("the token is for another audience")
	}
	return a.grant(text, &claims)
}

// keys returns what finds the keys for a token's header.
func (a *jwtAuthorizer) keys(ctx context.Context) jwt.Keyfunc {
	return func(t *jwt.Token) (any, error) {
		if _, has := t.Header["crit"]; has {
			return nil, errNoGood
		}
		if typ, has := t.Header["typ"]; has && !goodType(typ) {
			return nil, errNoGood
		}
		kid, isText := t.Header["kid"].(string)
		if _, has := t.Header["kid"]; has && (!isText || kid == "" || len(kid) > maxKid) {
			return nil, errNoGood
		}
		found, err := a.Keys.candidates(ctx, kid, t.Method.Alg())
		if err != nil {
			return nil, err
		}
		set := jwt.VerificationKeySet{Keys: make([]jwt.VerificationKey, len(found))}
		for i, k := range found {
			set.Keys[i] = k
		}
		return set, nil
	}
}

// goodType reports whether a header's typ is that of a token that allows
// something: others are signed with the same keys to say other things.
func goodType(typ any) bool {
	text, _ := typ.(string)
	text = strings.TrimPrefix(strings.ToLower(text), "application/")
	return text == "jwt" || text == "at+jwt"
}

// jwtError is the answer to a token that is not taken. Why is told where its
// signature is good.
func jwtError(err error) error {
	var answer *stream.Error
	switch {
	case errors.As(err, &answer):
		return answer
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, jwt.ErrTokenExpired):
		return noLonger("the token has expired")
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return noLonger("the token says that it was issued in the future: the clocks are too far apart")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return noLonger("the token is not valid yet")
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return noLonger("the token is of another issuer")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return noLonger("the token is for another audience")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return noLonger("the token lacks exp, iss or aud, which is needed here")
	}
	return errNoGood
}

// grant is what the claims of a good token allow.
func (a *jwtAuthorizer) grant(text string, claims *claimSet) (stream.Grant, error) {
	g := stream.Grant{ID: claims.jti, Read: a.Default.Read, Push: a.Default.Push, Admin: a.Default.Admin, Limits: a.Default.Limits}
	if g.ID == "" {
		g.ID = tokenID(text)
	}
	if claims.exp != nil {
		g.Expires = claims.exp.Add(a.Skew)
	}
	if claims.iat != nil {
		g.Issued = claims.iat.Time
	}
	if raw := find(claims.all, a.UserClaim); raw != nil {
		if err := decode(a.UserClaim, raw, &g.User, "a text"); err != nil {
			return stream.Grant{}, noLonger("the token's claim " + err.Error())
		}
		if err := checkUser(g.User); err != nil {
			return stream.Grant{}, noLonger("the token's claim " + a.UserClaim + " " + err.Error())
		}
	}
	if raw := find(claims.all, a.RightsClaim); raw != nil {
		g.Read, g.Push, g.Admin = nil, stream.PushRights{}, false
		if err := a.rights.parse(raw, &g); err != nil {
			return stream.Grant{}, noLonger("the token's claim " + a.RightsClaim + ": " + err.Error())
		}
	}
	return g, nil
}

// tokenID names a token that has no name. The signature is left out: of one token
// there may be several.
func tokenID(text string) string {
	sum := sha256.Sum256([]byte(text[:strings.LastIndexByte(text, '.')]))
	return "sha256:" + hex.EncodeToString(sum[:16])
}

package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spatehub/spate/serve/internal/fresh"
	"github.com/spatehub/spate/serve/stream"
)

const (
	maxStatic      = 10_000 // tokens of a file
	maxStaticBytes = 1 << 10
	hashPrefix     = "sha256:"
)

// NewToken makes a token by chance, and what a file of [StaticTokens] keeps of it.
func NewToken() (token, hash string) {
	var b [32]byte
	rand.Read(b[:]) // never fails
	token = base64.RawURLEncoding.EncodeToString(b[:])
	return token, HashToken(token)
}

// HashToken is what a file of [StaticTokens] keeps of a token. It is a plain
// SHA-256: a token is nothing that one could guess, but made by chance.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// StaticTokens returns an authorizer for the tokens of a JSON file, which is read
// anew when it changes; report is told where that fails, and the tokens of before
// stay:
//
//	{"tokens": [
//	  {"hash": "sha256:<64 digits>", "id": "ci", "user": "ci", "issued": "2026-11-28T10:00:00Z",
//	   "expires": "2027-01-31T00:00:00Z", "read": ["builds.>"], "push": {"topics": ["builds.*"]}, "limits": {"connections": 5}}
//	]}
//
// A token has a hash ([HashToken]) and an id, by which it can be revoked; the rest
// may be left out. One that does not say when it was issued is no good any more once its
// user is revoked. The rights are as [ParseRights] says.
func StaticTokens(path string, source Source, report func(error)) (stream.Authorizer, error) {
	value, err := fresh.New(func() (*tokenFile, error) {
		text, err := readSmall(path)
		if err != nil {
			return nil, err
		}
		f, err := parseTokenFile(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return f, nil
	}, report, []string{path})
	if err != nil {
		return nil, err
	}
	return func(r *http.Request) (stream.Grant, error) {
		token, err := source.token(r)
		if err != nil {
			return stream.Grant{}, err
		}
		return value.Get().grant(token, time.Now())
	}, nil
}

// tokenFile is the tokens of a file. They are found under a hash with a key of
// this process: how long that takes says nothing about the hashes of the file.
type tokenFile struct {
	key    [32]byte
	tokens map[[32]byte]staticToken
}

type staticToken struct {
	sum   [32]byte
	grant stream.Grant
}

func (f *tokenFile) place(sum [32]byte) (p [32]byte) {
	mac := hmac.New(sha256.New, f.key[:])
	mac.Write(sum[:])
	mac.Sum(p[:0])
	return p
}

// grant is what a token allows. One that is not in the file may be of another kind.
func (f *tokenFile) grant(token string, now time.Time) (stream.Grant, error) {
	if len(token) > maxStaticBytes {
		return stream.Grant{}, errOther
	}
	sum := sha256.Sum256([]byte(token))
	t, found := f.tokens[f.place(sum)]
	if !found || subtle.ConstantTimeCompare(t.sum[:], sum[:]) != 1 {
		return stream.Grant{}, errOther
	}
	if t.grant.ExpiredAt(now) {
		return stream.Grant{}, noLonger("the token has expired")
	}
	return t.grant, nil
}

func parseTokenFile(text []byte) (*tokenFile, error) {
	f := &tokenFile{tokens: map[[32]byte]staticToken{}}
	rand.Read(f.key[:])
	var list []json.RawMessage
	err := object("", text, func(name, at string, v json.RawMessage) error {
		if name == "tokens" {
			return decode(at, v, &list, "a list")
		}
		return errUnknown
	})
	if err != nil {
		return nil, err
	}
	if len(list) > maxStatic {
		return nil, fmt.Errorf("tokens: has more than %d entries", maxStatic)
	}
	ids := map[string]bool{}
	for i, raw := range list {
		at := fmt.Sprintf("tokens[%d]", i)
		t, err := parseToken(at, raw)
		if err != nil {
			return nil, err
		}
		place := f.place(t.sum)
		if _, twice := f.tokens[place]; twice {
			return nil, fmt.Errorf("%s.hash: is given twice", at)
		}
		if ids[t.grant.ID] {
			return nil, fmt.Errorf("%s.id: %q is given twice", at, t.grant.ID)
		}
		ids[t.grant.ID] = true
		f.tokens[place] = t
	}
	return f, nil
}

func parseToken(at string, raw json.RawMessage) (t staticToken, err error) {
	var hash string
	rights := map[string]json.RawMessage{}
	err = object(at, raw, func(name, at string, v json.RawMessage) error {
		switch name {
		case "hash":
			return decode(at, v, &hash, "a text")
		case "id":
			return decode(at, v, &t.grant.ID, "a text")
		case "user":
			return parseUser(at, v, &t.grant.User)
		case "issued":
			return decode(at, v, &t.grant.Issued, "a time such as 2027-01-31T00:00:00Z")
		case "expires":
			return decode(at, v, &t.grant.Expires, "a time such as 2027-01-31T00:00:00Z")
		case "read", "push", "admin", "limits":
			rights[name] = v
			return nil
		}
		return errUnknown
	})
	if err != nil {
		return t, err
	}
	digits, ok := strings.CutPrefix(hash, hashPrefix)
	sum, err := hex.DecodeString(digits)
	if !ok || err != nil || len(sum) != len(t.sum) {
		return t, fmt.Errorf("%s.hash: must be %s and 64 hexadecimal digits, not the token itself", at, hashPrefix)
	}
	copy(t.sum[:], sum)
	if t.grant.ID == "" || len(t.grant.ID) > maxKid {
		return t, fmt.Errorf("%s.id: must be a name of 1 to %d bytes, to revoke the token by", at, maxKid)
	}
	doc, err := json.Marshal(rights)
	if err != nil {
		return t, fmt.Errorf("%s: %w", at, err)
	}
	if err := ParseRights(doc, &t.grant); err != nil {
		return t, fmt.Errorf("%s.%w", at, err)
	}
	return t, nil
}

func parseUser(at string, v json.RawMessage, to *string) error {
	if err := decode(at, v, to, "a text"); err != nil {
		return err
	}
	if err := checkUser(*to); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	return nil
}

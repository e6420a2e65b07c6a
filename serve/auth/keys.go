package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/spatehub/spate/serve/internal/fresh"
)

// Keys find the keys that may have signed a token: [Secret], [PublicKeys],
// [KeyFile], [SecretFile], [SecretEnv] or [RemoteKeys].
type Keys interface {
	// candidates returns the keys for which a token with this kid ("": none) and
	// alg may be tried. Each key is for the algorithms of its own kind alone,
	// whatever a token says. Its errors are answers.
	candidates(ctx context.Context, kid, alg string) ([]any, error)
}

// Bounds of keys.
const (
	minSecret   = 32 // bytes: less can be searched for
	minRSA      = 2048
	maxRSA      = 8192 // more costs too much to verify with
	maxKeys     = 100  // of a set
	maxTried    = 8    // for one token without kid
	maxKeyBytes = 1 << 20
)

var (
	secretAlgs  = []string{"HS256", "HS384", "HS512"}
	rsaAlgs     = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	ed25519Algs = []string{"EdDSA"}
)

// allAlgs are those that any key of ours can be for.
var allAlgs = slices.Concat(secretAlgs, rsaAlgs, ed25519Algs, []string{"ES256", "ES384", "ES512"})

// key is one key, and what it is for.
type key struct {
	id       string // "": it matches whatever kid a token has
	algs     []string
	material any // as golang-jwt wants it
}

// keySet is a fixed set of keys.
type keySet []key

func (s keySet) candidates(_ context.Context, kid, alg string) ([]any, error) {
	var found []any
	for i := range s {
		k := &s[i]
		if slices.Contains(k.algs, alg) && (kid == "" || k.id == "" || k.id == kid) {
			found = append(found, k.material)
		}
	}
	if len(found) == 0 || len(found) > maxTried {
		return nil, errNoGood
	}
	return found, nil
}

// Secret is the key of HS256, HS384 and HS512. It has to have 32 bytes or more,
// and must not be somebody's public key: who knows that could sign with it.
func Secret(secret []byte) (Keys, error) {
	if len(secret) < minSecret {
		return nil, fmt.Errorf("the secret has %d bytes: it must have %d or more, by chance", len(secret), minSecret)
	}
	if looksPublic(secret) {
		return nil, errors.New("the secret is a public key or a certificate, which everybody may know")
	}
	return keySet{{algs: secretAlgs, material: bytes.Clone(secret)}}, nil
}

// looksPublic tells keys and certificates in their usual forms.
func looksPublic(b []byte) bool {
	if bytes.Contains(b, []byte("-----BEGIN")) || bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		return true
	}
	_, err1 := x509.ParsePKIXPublicKey(b)
	_, err2 := x509.ParsePKCS1PublicKey(b)
	_, err3 := x509.ParseCertificate(b)
	return err1 == nil || err2 == nil || err3 == nil
}

// SecretFile is [Secret] of a file, without line ends at its end. It is read anew
// when it changes; report is told where that fails, and the key of before stays.
func SecretFile(path string, report func(error)) (Keys, error) {
	return followed(path, report, func(text []byte) (Keys, error) { return Secret(bytes.TrimRight(text, "\r\n")) })
}

// SecretEnv is [Secret] of an environment variable.
func SecretEnv(name string) (Keys, error) {
	keys, err := Secret([]byte(os.Getenv(name)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return keys, nil
}

// PublicKeys reads keys that verify what others sign: PEM blocks (PUBLIC KEY, RSA
// PUBLIC KEY, CERTIFICATE), or a JWK set. A key of a set that is of a kind, or for
// a use, not known here is passed over. A JWK set may have secrets (kty "oct").
func PublicKeys(text []byte) (Keys, error) {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return parseJWKS(text, true)
	}
	return parsePEM(text)
}

// KeyFile is [PublicKeys] of a file, which is read anew when it changes; report is
// told where that fails, and the keys of before stay.
func KeyFile(path string, report func(error)) (Keys, error) {
	return followed(path, report, PublicKeys)
}

// fileKeys are keys of a file that may change.
type fileKeys struct{ value *fresh.Value[Keys] }

func (f fileKeys) candidates(ctx context.Context, kid, alg string) ([]any, error) {
	return f.value.Get().candidates(ctx, kid, alg)
}

func followed(path string, report func(error), parse func([]byte) (Keys, error)) (Keys, error) {
	value, err := fresh.New(func() (Keys, error) {
		text, err := readSmall(path)
		if err != nil {
			return nil, err
		}
		keys, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return keys, nil
	}, report, []string{path})
	if err != nil {
		return nil, err
	}
	return fileKeys{value}, nil
}

// readSmall reads a file that should not be large.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxKeyBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxKeyBytes)
	}
	return os.ReadFile(path)
}

func parsePEM(text []byte) (Keys, error) {
	var set keySet
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			break
		}
		material, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		algs, err := algsOf(material)
		if err != nil {
			return nil, err
		}
		if set = append(set, key{algs: algs, material: material}); len(set) > maxKeys {
			return nil, fmt.Errorf("there are more than %d keys", maxKeys)
		}
	}
	if len(set) == 0 {
		return nil, errors.New("has no key: give PEM (PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE) or a JWK set")
	}
	if rest := bytes.TrimSpace(text); len(rest) > 0 {
		return nil, errors.New("has something behind its last key that is no PEM")
	}
	return set, nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	}
	if strings.Contains(block.Type, "PRIVATE KEY") {
		return nil, errors.New("has a private key: the hub needs the public one alone")
	}
	return nil, fmt.Errorf("has a PEM block of type %.50q: it may be PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE", block.Type)
}

// algsOf are the algorithms that a key is for.
func algsOf(material any) ([]string, error) {
	switch k := material.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSA || bits > maxRSA {
			return nil, fmt.Errorf("an RSA key has %d bits: it may have %d to %d", bits, minRSA, maxRSA)
		}
		return rsaAlgs, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []string{"ES256"}, nil
		case elliptic.P384():
			return []string{"ES384"}, nil
		case elliptic.P521():
			return []string{"ES512"}, nil
		}
		return nil, fmt.Errorf("an EC key is of curve %s: it may be P-256, P-384 or P-521", k.Curve.Params().Name)
	case ed25519.PublicKey:
		return ed25519Algs, nil
	case []byte:
		if len(k) < minSecret {
			return nil, fmt.Errorf("a secret has %d bytes: it must have %d or more", len(k), minSecret)
		}
		return secretAlgs, nil
	}
	return nil, fmt.Errorf("a key is a %T, which signs no tokens", material)
}

// parseJWKS reads a JWK set (RFC 7517).
func parseJWKS(text []byte, secrets bool) (Keys, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("is no JWK set: %w", err)
	}
	if len(doc.Keys) > maxKeys {
		return nil, fmt.Errorf("there are more than %d keys", maxKeys)
	}
	var set keySet
	for i, raw := range doc.Keys {
		k, ok, err := parseJWK(raw, secrets)
		if err != nil {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		if ok {
			set = append(set, k)
		}
	}
	if len(set) == 0 {
		return nil, errors.New("has no key that verifies a signature")
	}
	return set, nil
}

// parseJWK reads one key; ok is false where it is none that signs.
func parseJWK(raw json.RawMessage, secrets bool) (k key, ok bool, err error) {
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(raw, &jwk); errors.Is(err, jose.ErrUnsupportedKeyType) {
		return key{}, false, nil
	} else if err != nil {
		return key{}, false, err
	}
	secret, isSecret := jwk.Key.([]byte)
	switch {
	case jwk.Use != "" && jwk.Use != "sig":
		return key{}, false, nil
	case isSecret && !secrets:
		return key{}, false, errors.New("is a secret, told to everybody")
	case isSecret && looksPublic(secret):
		return key{}, false, errors.New("the secret is a public key")
	case !isSecret && !jwk.IsPublic():
		return key{}, false, errors.New("is a private key: the hub needs the public one alone")
	}
	algs, err := algsOf(jwk.Key)
	if err != nil {
		return key{}, false, err
	}
	if jwk.Algorithm != "" {
		if !slices.Contains(algs, jwk.Algorithm) {
			return key{}, false, nil // for something else, such as encryption
		}
		algs = []string{jwk.Algorithm}
	}
	return key{id: jwk.KeyID, algs: algs, material: jwk.Key}, true, nil
}

package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testcert"
	"github.com/spatehub/spate/serve/auth"
)

// jwkOf writes a public key.
func jwkOf(t testing.TB, key crypto.Signer, kid, alg string) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: kid, Algorithm: alg})
	require.NoError(t, err)
	return string(text)
}

func takes(t testing.TB, keys auth.Keys, token string) bool {
	t.Helper()
	_, err := authorizer(t, auth.JWTConfig{Keys: keys})(withBearer(token))
	if err != nil {
		refused(t, err, 401, "not valid")
	}
	return err == nil
}

func TestKeySet(t *testing.T) {
	private := string(must(json.Marshal(jose.JSONWebKey{Key: p256Key, KeyID: "p"})))
	oct := `{"kty":"oct","kid":"o","k":"` + base64.RawURLEncoding.EncodeToString(secret) + `"}`
	keys, err := auth.PublicKeys([]byte(`{"keys":[` + strings.Join([]string{
		jwkOf(t, rsaKey, "one", ""), jwkOf(t, p256Key, "two", "ES256"), jwkOf(t, edKey, "", ""), oct,
		`{"kty":"future","kid":"x"}`, `{"kty":"OKP","crv":"X25519","x":"AAAA","kid":"y"}`,
		strings.Replace(jwkOf(t, p384Key, "enc", ""), "{", `{"use":"enc",`, 1), strings.Replace(jwkOf(t, p521Key, "ka", ""), "{", `{"alg":"ECDH-ES",`, 1),
	}, ",") + `]}`))
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		token string
		taken bool
	}{
		"by its kid":         {sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", "one"), true},
		"without kid":        {sign(t, jwt.SigningMethodES256, p256Key, claims()), true},
		"key without kid":    {sign(t, jwt.SigningMethodEdDSA, edKey, claims(), "kid", "any"), true},
		"secret of the set":  {sign(t, jwt.SigningMethodHS256, secret, claims(), "kid", "o"), true},
		"other kid":          {sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", "two"), false},
		"unknown kid":        {sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", "none"), false},
		"kid is exact":       {sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", "ONE"), false},
		"key for encryption": {sign(t, jwt.SigningMethodES384, p384Key, claims(), "kid", "enc"), false},
		"key for agreement":  {sign(t, jwt.SigningMethodES512, p521Key, claims(), "kid", "ka"), false},
	} {
		require.Equal(t, tc.taken, takes(t, keys, tc.token), name)
	}
	for what, text := range map[string]string{
		"private":         `{"keys":[` + private + `]}`,
		"no key":          `{"keys":[{"kty":"future"}]}`,
		"no JWK set":      `{"keys":7}`,
		"keys[1]":         `{"keys":[` + jwkOf(t, rsaKey, "", "") + `,{"kty":"RSA","n":"AAAA"}]}`,
		"has 5 bytes":     `{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}`,
		"more than 100":   `{"keys":[` + strings.Repeat(oct+",", 100) + oct + `]}`,
		"1024 bits":       `{"keys":[` + jwkOf(t, weakRSA(t), "", "") + `]}`,
		"is a public key": `{"keys":[{"kty":"oct","k":"` + base64.RawURLEncoding.EncodeToString(publicPEM(t, rsaKey)) + `"}]}`,
	} {
		_, err := auth.PublicKeys([]byte(text))
		require.ErrorContains(t, err, what)
	}
	off := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","x":%q,"y":%q}]}`, base64.RawURLEncoding.EncodeToString(make([]byte, 32)), base64.RawURLEncoding.EncodeToString(append(make([]byte, 31), 9)))
	_, err = auth.PublicKeys([]byte(off))
	require.Error(t, err, "a point that is not on its curve")

	// A token without kid is tried with a bounded number of keys.
	var same []string
	for i := range 9 {
		same = append(same, jwkOf(t, p256Key, fmt.Sprint("k", i), ""))
	}
	keys, err = auth.PublicKeys([]byte(`{"keys":[` + strings.Join(same, ",") + `]}`))
	require.NoError(t, err)
	require.False(t, takes(t, keys, sign(t, jwt.SigningMethodES256, p256Key, claims())))
	require.True(t, takes(t, keys, sign(t, jwt.SigningMethodES256, p256Key, claims(), "kid", "k3")))
}

func weakRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	return key
}

func TestPEMKeys(t *testing.T) {
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)})
	certified := testcert.NewCA(t, "issuer").Issue(testcert.Leaf{CommonName: "signer"})
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate[0]})
	keys, err := auth.PublicKeys([]byte("two keys:\n" + string(pkcs1) + "\n" + string(cert) + string(publicPEM(t, edKey)) + "\n"))
	require.NoError(t, err)
	require.True(t, takes(t, keys, sign(t, jwt.SigningMethodRS256, rsaKey, claims())))
	require.True(t, takes(t, keys, sign(t, jwt.SigningMethodES256, certified.PrivateKey, claims())))
	require.True(t, takes(t, keys, sign(t, jwt.SigningMethodEdDSA, edKey, claims())))
	require.False(t, takes(t, keys, sign(t, jwt.SigningMethodES256, p256Key, claims())))

	der := must(x509.MarshalPKCS8PrivateKey(p256Key))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	for what, text := range map[string]string{
		"private key":     string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"no key":          "nothing",
		"\"DH\"":          string(pem.EncodeToMemory(&pem.Block{Type: "DH", Bytes: der})),
		"behind its last": string(publicPEM(t, edKey)) + "-----BEGIN PUBLIC KEY-----\nnonsense",
		"P-224":           string(publicPEM(t, p224)),
		"1024 bits":       string(publicPEM(t, weakRSA(t))),
		"asn1":            string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})),
		"more than 100":   strings.Repeat(string(publicPEM(t, edKey)), 101),
	} {
		_, err := auth.PublicKeys([]byte(text))
		require.ErrorContains(t, err, what)
	}
}

func TestSecret(t *testing.T) {
	for what, bad := range map[string][]byte{
		"31 bytes":     secret[:31],
		"0 bytes":      nil,
		"a public key": publicPEM(t, rsaKey),
	} {
		_, err := auth.Secret(bad)
		require.ErrorContains(t, err, what)
	}
	_, err := auth.Secret(must(x509.MarshalPKIXPublicKey(rsaKey.Public())))
	require.ErrorContains(t, err, "a public key")
	_, err = auth.Secret([]byte(`{"keys":[` + jwkOf(t, rsaKey, "", "") + `]}`))
	require.ErrorContains(t, err, "a public key")

	t.Setenv("SPATE_TEST_SECRET", string(secret))
	keys, err := auth.SecretEnv("SPATE_TEST_SECRET")
	require.NoError(t, err)
	require.True(t, takes(t, keys, sign(t, jwt.SigningMethodHS256, secret, claims())))
	_, err = auth.SecretEnv("SPATE_TEST_NO_SECRET")
	require.ErrorContains(t, err, "SPATE_TEST_NO_SECRET")
}

func TestKeyFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write := func(text []byte) {
		require.NoError(t, os.WriteFile(path+".new", text, 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	write(append(secret, '\n'))
	keys, err := auth.SecretFile(path, nil)
	require.NoError(t, err)
	require.True(t, takes(t, keys, sign(t, jwt.SigningMethodHS256, secret, claims())))

	write(publicPEM(t, p256Key))
	reported := make(chan error, 10)
	keys, err = auth.KeyFile(path, func(err error) { reported <- err })
	require.NoError(t, err)
	old, fresh := sign(t, jwt.SigningMethodES256, p256Key, claims()), sign(t, jwt.SigningMethodEdDSA, edKey, claims())
	require.True(t, takes(t, keys, old))
	write([]byte(`{"keys":[` + jwkOf(t, edKey, "", "") + `]}`))
	require.Eventually(t, func() bool { return takes(t, keys, fresh) }, 30*time.Second, 10*time.Millisecond, "a changed file counts")
	require.False(t, takes(t, keys, old), "and the key of before no more")
	write([]byte("nonsense"))
	require.Eventually(t, func() bool { require.True(t, takes(t, keys, fresh)); return len(reported) == 1 }, 30*time.Second, 10*time.Millisecond)
	require.ErrorContains(t, <-reported, path)

	_, err = auth.KeyFile(path+"x", nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	write(make([]byte, 1<<20+1))
	_, err = auth.KeyFile(path, nil)
	require.ErrorContains(t, err, "more than")
}

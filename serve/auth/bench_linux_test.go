package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/auth"
)

// cpuTime is what the process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkJWT: what does it cost to make a grant of a request's token, which happens once for a connection? Of the
// figures cpu-µs/op counts: processor time, which depends less on what else the machine does.
func BenchmarkJWT(b *testing.B) {
	secret := []byte("a secret of the benchmarks, and of nobody else")
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b, err)
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(b, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(b, err)
	public := func(key any) auth.Keys {
		der, err := x509.MarshalPKIXPublicKey(key)
		require.NoError(b, err)
		keys, err := auth.PublicKeys(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		require.NoError(b, err)
		return keys
	}
	shared, err := auth.Secret(secret)
	require.NoError(b, err)
	for _, c := range []struct {
		method jwt.SigningMethod
		key    any
		keys   auth.Keys
	}{
		{jwt.SigningMethodHS256, secret, shared},
		{jwt.SigningMethodES256, ec, public(&ec.PublicKey)},
		{jwt.SigningMethodRS256, rs, public(&rs.PublicKey)},
		{jwt.SigningMethodEdDSA, ed, public(ed.Public())},
	} {
		b.Run(c.method.Alg(), func(b *testing.B) {
			authorize, err := auth.JWT(auth.JWTConfig{Keys: c.keys, Issuer: "https://id.example.com", Audience: []string{"hub"}})
			require.NoError(b, err)
			text, err := jwt.NewWithClaims(c.method, jwt.MapClaims{
				"iss": "https://id.example.com", "aud": "hub", "sub": "user-1234", "jti": "session-1234", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
				"spate": json.RawMessage(`{"read":["orders.>","prices"],"push":{"topics":["orders.*"]},"limits":{"connections":5}}`),
			}).SignedString(c.key)
			require.NoError(b, err)
			r := httptest.NewRequest("GET", "/events", nil)
			r.Header.Set("Authorization", "Bearer "+text)
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				g, err := authorize(r)
				if err != nil || g.User != "user-1234" {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-before)/1e3/float64(b.N), "cpu-µs/op")
		})
	}
	// The least that the dearest common one can cost: the signature alone.
	b.Run("bare-ES256", func(b *testing.B) {
		sum := sha256.Sum256([]byte("header.claims"))
		sig, err := ecdsa.SignASN1(rand.Reader, ec, sum[:])
		require.NoError(b, err)
		before := cpuTime(b)
		for b.Loop() {
			if !ecdsa.VerifyASN1(&ec.PublicKey, sum[:], sig) {
				b.Fatal("refused")
			}
		}
		b.ReportMetric(float64(cpuTime(b)-before)/1e3/float64(b.N), "cpu-µs/op")
	})
}

package auth_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testcert"
	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/stream"
)

func TestMutualTLS(t *testing.T) {
	ca := testcert.NewCA(t, "root")
	until := time.Now().Add(3 * time.Hour).Truncate(time.Second).UTC()
	cert := ca.Issue(testcert.Leaf{CommonName: "tom", DNS: nil, URIs: []string{"spiffe://example.com/tom"}, Emails: []string{"tom@example.com", "t@example.com"}, NotAfter: until}).Leaf
	request := func(verified bool) *http.Request {
		r := ask("/events")
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
		if verified {
			r.TLS.VerifiedChains = [][]*x509.Certificate{{cert}}
		}
		return r
	}
	rights := func(user string) (stream.Grant, bool) {
		return stream.Grant{User: "ignored", Read: patterns(t, "a.>")}, user != "eve"
	}
	for name, user := range map[auth.CertName]string{auth.CertCommonName: "tom", auth.CertURI: "spiffe://example.com/tom", auth.CertDNS: "localhost"} {
		a, err := auth.MutualTLS(name, rights)
		require.NoError(t, err)
		g, err := a(request(true))
		require.NoError(t, err)
		require.Equal(t, user, g.User)
		require.Equal(t, until, g.Expires.UTC())
		require.Equal(t, patterns(t, "a.>"), g.Read)
		require.Regexp(t, "^sha256:[0-9a-f]{64}$", g.ID)
		_, err = a(request(false))
		refused(t, err, 401, "needs credentials") // whom nobody vouched for
		_, err = a(ask("/events"))
		refused(t, err, 401, "needs credentials")
	}
	a, err := auth.MutualTLS(auth.CertEmail, rights)
	require.NoError(t, err)
	_, err = a(request(true))
	refused(t, err, 403, "no single name")
	a, err = auth.MutualTLS(auth.CertCommonName, func(string) (stream.Grant, bool) { return stream.Grant{}, false })
	require.NoError(t, err)
	_, err = a(request(true))
	refused(t, err, 403, `"tom"`)
	soon := time.Now().Add(time.Minute)
	a, err = auth.MutualTLS(auth.CertCommonName, func(string) (stream.Grant, bool) { return stream.Grant{Expires: soon}, true })
	require.NoError(t, err)
	g, err := a(request(true))
	require.NoError(t, err)
	require.Equal(t, soon, g.Expires)
	_, err = auth.MutualTLS("serial", rights)
	require.ErrorContains(t, err, `"serial"`)
}

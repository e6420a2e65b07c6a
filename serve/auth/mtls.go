package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/spatehub/spate/serve/stream"
)

// CertName says which part of a client's certificate is the user's name.
type CertName string

// The parts of a certificate.
const (
	CertCommonName CertName = "cn"    // the subject's common name
	CertURI        CertName = "uri"   // the one URI among the subject's alternative names
	CertDNS        CertName = "dns"   // the one DNS name
	CertEmail      CertName = "email" // the one e-mail address
)

// MutualTLS returns an authorizer for client certificates, which the server has
// to ask for and verify (tlsfile.Files.ClientCA). rights says what a user may do;
// ok is false for users that may do nothing. The grant's ID is the certificate's
// fingerprint, and it expires with the certificate, or sooner where rights says so.
//
// A certificate with no such name, or with several, is refused.
func MutualTLS(name CertName, rights func(user string) (g stream.Grant, ok bool)) (stream.Authorizer, error) {
	switch name {
	case CertCommonName, CertURI, CertDNS, CertEmail:
	default:
		return nil, fmt.Errorf("certificate name %q: it may be cn, uri, dns or email", name)
	}
	return func(r *http.Request) (stream.Grant, error) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
			return stream.Grant{}, errNone // none, or one that nobody has vouched for
		}
		cert := r.TLS.VerifiedChains[0][0]
		user, ok := certUser(cert, name)
		if !ok || checkUser(user) != nil {
			return stream.Grant{}, &stream.Error{Status: http.StatusForbidden, Message: "the client certificate has no single name of the kind that counts here: " + string(name)}
		}
		g, ok := rights(user)
		if !ok {
			return stream.Grant{}, &stream.Error{Status: http.StatusForbidden, Message: fmt.Sprintf("the client certificate's user %q has no rights here", user)}
		}
		g.User = user
		sum := sha256.Sum256(cert.Raw)
		g.ID = "sha256:" + hex.EncodeToString(sum[:])
		g.Issued = cert.NotBefore
		if g.Expires.IsZero() || cert.NotAfter.Before(g.Expires) {
			g.Expires = cert.NotAfter
		}
		return g, nil
	}, nil
}

// certUser returns the certificate's one name of the kind.
func certUser(cert *x509.Certificate, name CertName) (string, bool) {
	var names []string
	switch name {
	case CertCommonName:
		names = []string{cert.Subject.CommonName}
	case CertDNS:
		names = cert.DNSNames
	case CertEmail:
		names = cert.EmailAddresses
	case CertURI:
		for _, u := range cert.URIs {
			names = append(names, u.String())
		}
	}
	if len(names) != 1 {
		return "", false
	}
	return names[0], true
}

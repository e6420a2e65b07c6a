// Package cors lets pages of other origins use a hub: a list of origins, and the
// handler that tells browsers of it. Without it no page of another origin can read
// anything.
package cors

import (
	"fmt"
	"net/url"
	"strings"
)

// maxOrigin bounds an Origin header: scheme, a longest host name, port.
const maxOrigin = 8 + 3 + 253 + 6

// Origins is a list of origins that are allowed. The zero value allows none. It
// does not change once it is parsed.
type Origins struct {
	any   bool
	exact map[string]struct{}
	below []below
}

// below is all hosts below a domain: https://*.example.com.
type below struct {
	scheme string // "https://"
	domain string // ".example.com"
	port   string // ":8443", or "" for the scheme's own
}

// ParseOrigins reads a list of origins. An entry is
//
//	https://app.example.com       that origin; also with http, also with a port
//	https://*.example.com         all hosts below the domain, not itself
//	app.example.com, *.example.com   the same with https
//	*                             every origin, "null" included
//
// Errors name the entry.
func ParseOrigins(list ...string) (Origins, error) {
	o := Origins{exact: map[string]struct{}{}}
	for _, entry := range list {
		if entry == "*" {
			o.any = true
			continue
		}
		if err := o.add(entry); err != nil {
			return Origins{}, fmt.Errorf("origin %q %w", entry, err)
		}
	}
	return o, nil
}

func (o *Origins) add(entry string) error {
	text := strings.ToLower(entry)
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	wild := strings.Contains(text, "://*.")
	u, err := url.Parse(strings.Replace(text, "://*.", "://", 1))
	switch {
	case err != nil:
		return fmt.Errorf("is no origin: give a scheme and a host, such as https://app.example.com")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("must begin with http:// or https://")
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil || strings.HasSuffix(text, "#"):
		return fmt.Errorf("must be scheme, host and port alone, without a slash at the end")
	case !hostName(u.Hostname()) && !(strings.HasPrefix(u.Host, "[") && !wild):
		return fmt.Errorf("has no host that a browser would name; a * may only stand for the first part of one")
	case strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("ends with a colon")
	}
	port := u.Port()
	if port != "" {
		port = ":" + port
	}
	if u.Scheme == "https" && port == ":443" || u.Scheme == "http" && port == ":80" {
		port = "" // as browsers write it
	}
	host := strings.TrimSuffix(u.Host, ":"+u.Port())
	if !wild {
		o.exact[u.Scheme+"://"+host+port] = struct{}{}
		return nil
	}
	if !strings.Contains(host, ".") {
		return fmt.Errorf("would allow all of a top-level domain")
	}
	o.below = append(o.below, below{u.Scheme + "://", "." + host, port})
	return nil
}

// Any reports whether every origin is allowed.
func (o *Origins) Any() bool { return o.any }

// Empty reports whether none is.
func (o *Origins) Empty() bool { return !o.any && len(o.exact) == 0 && len(o.below) == 0 }

// Allows reports whether the value of an Origin header is one of the list.
func (o *Origins) Allows(origin string) bool {
	if origin == "" || len(origin) > maxOrigin {
		return false
	}
	if o.any {
		return true
	}
	if _, ok := o.exact[origin]; ok {
		return true
	}
	for _, b := range o.below {
		host, ok := strings.CutPrefix(origin, b.scheme)
		if !ok {
			continue
		}
		if host, ok = strings.CutSuffix(host, b.port); !ok {
			continue
		}
		if host, ok = strings.CutSuffix(host, b.domain); ok && hostName(host) {
			return true
		}
	}
	return false
}

// hostName reports whether s is made of labels of a host name in lower case.
func hostName(s string) bool {
	label := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.' && label > 0:
			label = 0
			continue
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
		label++
	}
	return label > 0
}

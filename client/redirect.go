package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxRedirects is how many redirects in a row are followed.
const maxRedirects = 10

// redirected is the request that follows a response, nil where there is none.
// origin is the URL that the headers were meant for.
func redirected(origin *url.URL, req *http.Request, resp *http.Response) (*http.Request, error) {
	method, keepBody := req.Method, true
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound:
		if method == http.MethodPost {
			method, keepBody = http.MethodGet, false
		}
	case http.StatusSeeOther:
		if method != http.MethodHead {
			method, keepBody = http.MethodGet, false
		}
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	location := resp.Header.Get("Location")
	if location == "" || keepBody && req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return nil, nil // nowhere to go, or nothing left to send: the status says it
	}
	target, err := req.URL.Parse(location)
	if err != nil {
		return nil, errors.New("the server redirects to a malformed URL")
	}
	if target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
		return nil, fmt.Errorf("the server redirects to a URL of the scheme %q", target.Scheme)
	}
	next := req.Clone(req.Context())
	next.URL, next.Method, next.Response = target, method, resp
	if !keepBody || req.Body == nil {
		next.Body, next.GetBody, next.ContentLength = nil, nil, 0
		next.Header.Del("Content-Type")
	} else if req.GetBody != nil {
		if next.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	if !sameHost(origin, target) {
		strip(next)
	}
	return next, nil
}

// harmless are the headers that another host may see: none of them is anybody's
// credential. All others of the user's stay behind.
var harmless = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Cache-Control": true,
	"Content-Type": true, "Last-Event-Id": true, "User-Agent": true,
}

// strip takes away what is not for another host than the one that was asked.
func strip(req *http.Request) {
	req.Host = ""
	for name := range req.Header {
		if !harmless[name] {
			delete(req.Header, name) // not Del: a user's function may have spelled it in another way
		}
	}
}

// sameHost reports whether what is for one URL may be sent to another: host and
// port are the same, and the way is as safe. The step from http to https on the
// usual ports is allowed, the way back is not.
func sameHost(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	if from.Scheme == to.Scheme {
		return port(from) == port(to)
	}
	return from.Scheme == "http" && port(from) == "80" && port(to) == "443"
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// follow sends req and the requests that redirects ask for. moved is where the
// response came from, if every redirect on the way there was permanent and kept
// the method, or as far as they were; nil for none. policy may refuse a redirect,
// as http.Client's CheckRedirect. What was stripped for one host does not come
// back on the way to the next: each request is made from the one before.
func follow(hc *http.Client, req *http.Request, policy func(*http.Request, []*http.Request) error) (resp *http.Response, moved *url.URL, err error) {
	origin, lasting := req.URL, true
	var via []*http.Request
	for {
		header := req.Header.Clone() // a cookie jar writes into the request's own
		if resp, err = hc.Do(req); err != nil {
			return nil, nil, withoutURL(err)
		}
		req.Header = header
		next, err := redirected(origin, req, resp)
		if err == nil && next == nil {
			return resp, moved, nil
		}
		if via = append(via, req); err == nil {
			err = allowed(next, via, policy)
		}
		if errors.Is(err, http.ErrUseLastResponse) {
			return resp, moved, nil
		}
		drain(resp)
		if err != nil {
			return nil, nil, err
		}
		if lasting = lasting && isPermanent(resp.StatusCode) && next.Method == req.Method; lasting {
			moved = next.URL
		}
		req = next
	}
}

func isPermanent(code int) bool {
	return code == http.StatusMovedPermanently || code == http.StatusPermanentRedirect
}

// allowed is nil if the request after those in via may be sent.
func allowed(next *http.Request, via []*http.Request, policy func(*http.Request, []*http.Request) error) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("the server redirects more than %d times", maxRedirects)
	}
	if policy == nil {
		return nil
	}
	return policy(next, via)
}

// drain reads a small body to its end, so that the connection can be used again. A
// body that does not come is not waited for.
func drain(resp *http.Response) {
	late := time.AfterFunc(maxErrorWait, func() { _ = resp.Body.Close() })
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, 2<<10)
	_ = resp.Body.Close()
}

// withoutURL strips the URL, whose query may hold a secret, from err.
func withoutURL(err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		return urlErr.Err
	}
	return err
}

// showURL is raw as far as it may be logged: without user, query and fragment.
func showURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(malformed URL)"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

package auth_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/stream"
)

// issuer serves a JWK set, under a clock moved by hand.
type issuer struct {
	t       *testing.T
	server  *httptest.Server
	now     atomic.Int64
	fetches atomic.Int32
	answer  atomic.Pointer[http.HandlerFunc]
	remote  *auth.Remote
	check   stream.Authorizer
	mu      sync.Mutex
	told    []error
}

func newIssuer(t *testing.T, o auth.RemoteOptions) *issuer {
	s := &issuer{t: t}
	s.now.Store(begin.UnixNano())
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fetches.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(s.server.Close)
	o.SetClock(func() time.Time { return time.Unix(0, s.now.Load()) })
	o.Report = func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told = append(s.told, err)
	}
	var err error
	s.remote, err = auth.RemoteKeys(s.server.URL, o)
	require.NoError(t, err)
	t.Cleanup(s.remote.Close)
	s.check = authorizer(t, auth.JWTConfig{Keys: s.remote})
	return s
}

// has lets the issuer have keys, by kid.
func (s *issuer) has(keys map[string]crypto.Signer) {
	var list []string
	for kid, key := range keys {
		list = append(list, jwkOf(s.t, key, kid, ""))
	}
	s.says(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"keys":[%s]}`, strings.Join(list, ",")) })
}

func (s *issuer) says(h http.HandlerFunc) { s.answer.Store(&h) }

func (s *issuer) later(d time.Duration) { s.now.Add(int64(d)) }

func (s *issuer) try(key crypto.Signer, kid string) error {
	s.t.Helper()
	_, err := s.check(withBearer(sign(s.t, jwt.SigningMethodES256, key, claims(), "kid", kid)))
	return err
}

func (s *issuer) reports() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told
}

func TestRemoteKeysAreKept(t *testing.T) {
	s := newIssuer(t, auth.RemoteOptions{})
	s.has(map[string]crypto.Signer{"one": p256Key})
	for range 100 {
		require.NoError(t, s.try(p256Key, "one"))
	}
	require.EqualValues(t, 1, s.fetches.Load())

	// Old ones are used on while they are fetched again.
	release := make(chan struct{})
	s.says(func(w http.ResponseWriter, _ *http.Request) { <-release })
	s.later(11 * time.Minute)
	for range 10 {
		require.NoError(t, s.try(p256Key, "one"))
	}
	require.Eventually(t, func() bool { return s.fetches.Load() == 2 }, 20*time.Second, time.Millisecond)
	close(release)
	require.Eventually(t, func() bool { return len(s.reports()) == 1 }, 20*time.Second, time.Millisecond, "an empty answer is no set of keys")
	require.NoError(t, s.try(p256Key, "one"))
	s.later(24 * time.Hour)
	refused(t, s.try(p256Key, "one"), 503, "keys")
}

func TestRemoteKeysRotate(t *testing.T) {
	s := newIssuer(t, auth.RemoteOptions{})
	s.has(map[string]crypto.Signer{"one": p256Key})
	require.NoError(t, s.try(p256Key, "one"))
	s.has(map[string]crypto.Signer{"two": p256Key})
	refused(t, s.try(p256Key, "two"), 401, "not valid") // too soon after the last fetch
	s.later(15 * time.Second)
	require.NoError(t, s.try(p256Key, "two"), "a kid that is not known makes a fetch, and is waited for")
	refused(t, s.try(p256Key, "one"), 401, "not valid")
	require.EqualValues(t, 2, s.fetches.Load())
}

// (Invariant 5.) Whatever tokens strangers send, keys are fetched once in an interval.
func TestRemoteFetchesAreBounded(t *testing.T) {
	s := newIssuer(t, auth.RemoteOptions{})
	s.has(map[string]crypto.Signer{"one": p256Key})
	for i := range 100 {
		refused(t, s.try(p256Key, fmt.Sprint("no", i)), 401, "not valid")
	}
	require.EqualValues(t, 1, s.fetches.Load())
	s.later(15 * time.Second)
	for i := range 100 {
		refused(t, s.try(p256Key, fmt.Sprint("no", i)), 401, "not valid")
	}
	require.EqualValues(t, 2, s.fetches.Load())
}

// (Invariant 9.) An issuer that does not answer holds up nobody whose key is known, and all others for a bounded time and in a bounded number.
func TestRemoteThatHangs(t *testing.T) {
	s := newIssuer(t, auth.RemoteOptions{Timeout: 300 * time.Millisecond})
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	s.says(hang)
	refused(t, s.try(p256Key, "one"), 503, "keys")
	// Who waits for the keys gives up as the fetch does, or a moment earlier.
	require.Eventually(t, func() bool { return len(s.reports()) == 1 }, 20*time.Second, time.Millisecond)
	require.ErrorIs(t, s.reports()[0], context.DeadlineExceeded)
	refused(t, s.try(p256Key, "one"), 503, "keys") // at once: no fetch so soon
	require.EqualValues(t, 1, s.fetches.Load())

	s.has(map[string]crypto.Signer{"one": p256Key})
	s.later(15 * time.Second)
	require.NoError(t, s.try(p256Key, "one"))
}

func TestRemoteThatHangsHoldsUpNoKnownKey(t *testing.T) {
	s := newIssuer(t, auth.RemoteOptions{Timeout: time.Hour})
	s.has(map[string]crypto.Signer{"one": p256Key})
	require.NoError(t, s.try(p256Key, "one"))
	s.says(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s.later(15 * time.Second)
	var wg sync.WaitGroup
	var busy, ended atomic.Int32
	for range 100 {
		wg.Go(func() {
			err := s.try(p256Key, "new")
			var e *stream.Error
			if errors.As(err, &e) && e.Status == 503 {
				busy.Add(1)
			}
			ended.Add(1)
		})
	}
	require.Eventually(t, func() bool { return busy.Load() == 100-64 }, 20*time.Second, time.Millisecond, "only so many wait")
	require.NoError(t, s.try(p256Key, "one"))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := withBearer(sign(t, jwt.SigningMethodES256, p256Key, claims(), "kid", "new")).WithContext(ctx)
	_, err := s.check(r)
	require.Error(t, err, "a request that is over does not wait")

	require.Eventually(t, func() bool { return s.fetches.Load() == 2 }, 20*time.Second, time.Millisecond, "it gets there some time")
	require.EqualValues(t, 36, ended.Load(), "the others wait")
	s.remote.Close()
	wg.Wait()
	require.NoError(t, s.try(p256Key, "one"), "what is known is known after Close as well")
}

func TestRemoteAnswers(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"status":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"not found": http.NotFound,
		"HTML":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"no keys":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) },
		"a secret": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`)
		},
		"too large": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"keys":[]`, strings.Repeat(" ", 1<<20), "}")
		},
		"without end":  func(w http.ResponseWriter, _ *http.Request) { endless(w) },
		"going around": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newIssuer(t, auth.RemoteOptions{})
			s.says(answer)
			refused(t, s.try(p256Key, "one"), 503, "keys")
			require.Eventually(t, func() bool { return len(s.reports()) == 1 }, 20*time.Second, time.Millisecond)
			require.ErrorContains(t, s.reports()[0], s.server.URL)
		})
	}
}

func endless(w http.ResponseWriter) {
	for range 64 {
		if _, err := w.Write(make([]byte, 64<<10)); err != nil {
			return
		}
	}
}

func TestRemoteKeysRefusesURLs(t *testing.T) {
	for _, bad := range []string{"", "http://issuer.example.com/keys", "ftp://localhost/keys", "file:///etc/passwd", "//host/keys", "https:///keys", "%"} {
		_, err := auth.RemoteKeys(bad, auth.RemoteOptions{})
		require.Error(t, err, bad)
	}
	for _, good := range []string{"https://issuer.example.com/keys", "http://127.0.0.1:8080/keys", "http://[::1]/", "http://localhost/"} {
		r, err := auth.RemoteKeys(good, auth.RemoteOptions{})
		require.NoError(t, err, good)
		r.Close()
	}
}

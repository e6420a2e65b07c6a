package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Remote keys: defaults and bounds.
const (
	defaultRefresh  = 10 * time.Minute
	defaultInterval = 15 * time.Second
	defaultTimeout  = 5 * time.Second
	defaultMaxAge   = 24 * time.Hour
	maxRedirects    = 3
	maxWaiting      = 64 // requests that wait for a fetch at one time
)

// RemoteOptions set up [RemoteKeys]; the zero value is good.
type RemoteOptions struct {
	Refresh  time.Duration // how old keys may be before they are fetched again, beside their use; 0: 10 minutes
	Interval time.Duration // least time between two fetches, whatever tokens come; 0: 15 s
	Timeout  time.Duration // of one fetch; 0: 5 s
	MaxAge   time.Duration // how long keys are used that can't be fetched again; 0: a day

	// Client fetches; nil is one of its own.
	Client *http.Client

	// Report is told, by any goroutine, why a fetch has failed.
	Report func(error)

	now func() time.Time
}

// Remote is a JWK set of a URL. It is fetched when the first token comes, again
// once it is old, and where a token names a key that is not in it, as after a
// rotation; in all, once in each interval at most. Tokens whose keys are known
// never wait for a fetch. Close ends what is under way.
type Remote struct {
	url    string
	opts   RemoteOptions
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		keys     Keys // nil: none yet
		fetched  time.Time
		tried    time.Time
		inFlight chan struct{} // closed when the fetch is over; nil: none
		waiting  int
		closed   bool
	}
}

// RemoteKeys returns the keys of a URL, which must be https, or http on this
// machine: who could change them could sign anything.
func RemoteKeys(rawURL string, o RemoteOptions) (*Remote, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("JWK set: %w", err)
	}
	if u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && isLocal(u.Hostname())) {
		return nil, fmt.Errorf("JWK set %q: must be an https URL", rawURL)
	}
	o.Refresh = orDefault(o.Refresh, defaultRefresh)
	o.Interval = orDefault(o.Interval, defaultInterval)
	o.Timeout = orDefault(o.Timeout, defaultTimeout)
	o.MaxAge = orDefault(o.MaxAge, defaultMaxAge)
	if o.Report == nil {
		o.Report = func(error) {}
	}
	if o.now == nil {
		o.now = time.Now
	}
	r := &Remote{url: rawURL, opts: o, client: o.Client}
	if r.client == nil {
		r.client = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), CheckRedirect: checkRedirect}
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkRedirect follows a few redirects, none of them to a way that others can
// write on.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	if r.URL.Scheme != "https" && (via[0].URL.Scheme == "https" || !isLocal(r.URL.Hostname())) {
		return errors.New("redirected away from https")
	}
	return nil
}

// Close ends a fetch that is under way. Keys that are known can still be used.
func (r *Remote) Close() {
	r.mu.Lock()
	r.mu.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
	r.client.CloseIdleConnections()
}

// Refetch begins a fetch now, beside the use of the keys that are known.
func (r *Remote) Refetch() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.tried = time.Time{}
	r.fetchLocked(r.opts.now())
}

func (r *Remote) candidates(ctx context.Context, kid, alg string) ([]any, error) {
	found, wait, err := r.look(kid, alg)
	if wait == nil {
		return found, err
	}
	select {
	case <-wait:
	case <-ctx.Done():
	}
	r.mu.Lock()
	r.mu.waiting--
	r.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return r.lookAgain(kid, alg)
}

// look finds the keys in what is known. wait is a fetch to wait for first.
func (r *Remote) look(kid, alg string) (found []any, wait chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.opts.now()
	keys := r.mu.keys
	if now.Sub(r.mu.fetched) >= r.opts.MaxAge {
		keys = nil
	}
	if keys != nil {
		if now.Sub(r.mu.fetched) >= r.opts.Refresh {
			r.fetchLocked(now)
		}
		if found, err = keys.candidates(r.ctx, kid, alg); err == nil {
			return found, nil, nil
		}
	}
	r.fetchLocked(now)
	switch {
	case r.mu.inFlight == nil && keys == nil:
		return nil, nil, r.away()
	case r.mu.inFlight == nil:
		return nil, nil, err
	case r.mu.waiting >= maxWaiting:
		return nil, nil, r.away()
	}
	r.mu.waiting++
	return nil, r.mu.inFlight, nil
}

// lookAgain is look after a fetch: it waits for none.
func (r *Remote) lookAgain(kid, alg string) ([]any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.keys == nil || r.opts.now().Sub(r.mu.fetched) >= r.opts.MaxAge {
		return nil, r.away()
	}
	return r.mu.keys.candidates(r.ctx, kid, alg)
}

func (r *Remote) away() error {
	return unavailable("the keys that verify tokens can't be had at present", r.opts.Interval)
}

// fetchLocked begins a fetch, unless one is under way or was a short time ago.
func (r *Remote) fetchLocked(now time.Time) {
	if r.mu.inFlight != nil || r.mu.closed || !r.mu.tried.IsZero() && now.Sub(r.mu.tried) < r.opts.Interval {
		return
	}
	r.mu.tried = now
	done := make(chan struct{})
	r.mu.inFlight = done
	r.wg.Go(func() {
		keys, err := r.fetch()
		r.mu.Lock()
		if err == nil {
			r.mu.keys, r.mu.fetched = keys, now
		}
		r.mu.inFlight = nil
		r.mu.Unlock()
		close(done)
		if err != nil && r.ctx.Err() == nil {
			r.opts.Report(fmt.Errorf("JWK set %s: %w", r.url, err))
		}
	})
}

func (r *Remote) fetch() (Keys, error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.opts.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxKeyBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxKeyBytes {
		return nil, fmt.Errorf("has more than %d bytes", maxKeyBytes)
	}
	return parseJWKS(text, false)
}

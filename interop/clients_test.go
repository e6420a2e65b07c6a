package interop

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"testing"
	"time"

	launchdarkly "github.com/launchdarkly/eventsource"
	r3labs "github.com/r3labs/sse/v2"
	"github.com/stretchr/testify/require"
	tmaxmax "github.com/tmaxmax/go-sse"
	"gopkg.in/cenkalti/backoff.v1"
)

// clients are the ways in which others follow a stream. Each starts one that goes on until the test ends.
var clients = map[string]func(t *testing.T, f *follower, base string){
	"tmaxmax/go-sse":           goSSE,
	"r3labs/sse":               r3,
	"launchdarkly/eventsource": launchDarkly,
	"eventsource (npm)": func(t *testing.T, f *follower, base string) {
		nodeClient(t, f, "eventsource", base)
	},
	"@microsoft/fetch-event-source": func(t *testing.T, f *follower, base string) {
		nodeClient(t, f, "fetch-event-source", base)
	},
	"curl": curl,
	"Chromium": func(t *testing.T, f *follower, base string) {
		browser(t, f, base, "chrome", "chromium", "chromium-browser", "google-chrome")
	},
	"Firefox": func(t *testing.T, f *follower, base string) { browser(t, f, base, "firefox", "firefox-esr", "firefox") },
}

func goSSE(t *testing.T, f *follower, base string) {
	ctx, wg := lifetime(t)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/events", nil)
	require.NoError(t, err)
	client := tmaxmax.Client{
		Backoff:           tmaxmax.Backoff{InitialInterval: 200 * time.Millisecond, Multiplier: 1, MaxRetries: 0},
		ResponseValidator: func(r *http.Response) error { f.open(); return tmaxmax.DefaultValidator(r) },
	}
	conn := client.NewConnection(req)
	conn.SubscribeToAll(func(e tmaxmax.Event) { f.handOut(event{ID: e.LastEventID, Type: e.Type, Data: e.Data}) })
	wg.Go(func() {
		if err := conn.Connect(); ctx.Err() == nil {
			t.Errorf("it has given up: %v", err)
		}
	})
}

func r3(t *testing.T, f *follower, base string) {
	ctx, wg := lifetime(t)
	client := r3labs.NewClient(base + "/events")
	// With the context: without it this client goes on trying for ever after its context has ended.
	client.ReconnectStrategy = backoff.WithContext(backoff.NewConstantBackOff(200*time.Millisecond), ctx)
	client.ResponseValidator = func(_ *r3labs.Client, resp *http.Response) error {
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		f.open()
		return nil
	}
	wg.Go(func() {
		err := client.SubscribeRawWithContext(ctx, func(m *r3labs.Event) {
			if len(m.Data) == 0 {
				return // what came of an event before the stream was cut, with the ID of the one before
			}
			f.handOut(event{ID: string(m.ID), Type: string(m.Event), Data: string(m.Data)})
		})
		if ctx.Err() == nil {
			t.Errorf("it has given up: %v", err)
		}
	})
}

func launchDarkly(t *testing.T, f *follower, base string) {
	ctx, wg := lifetime(t)
	wg.Go(func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/events", nil)
		if err != nil {
			t.Error(err)
			return
		}
		stream, err := launchdarkly.SubscribeWithRequestAndOptions(req,
			launchdarkly.StreamOptionInitialRetry(200*time.Millisecond),
			launchdarkly.StreamOptionCanRetryFirstConnection(-1),
			launchdarkly.StreamOptionErrorHandler(func(error) launchdarkly.StreamErrorHandlerResult {
				return launchdarkly.StreamErrorHandlerResult{}
			}))
		if err != nil {
			t.Error(err)
			return
		}
		defer stream.Close()
		f.open()
		for {
			select {
			case e := <-stream.Events:
				f.handOut(event{ID: e.Id(), Type: e.Event(), Data: e.Data()})
			case <-ctx.Done():
				return
			}
		}
	})
}

// curl has no reconnecting of its own: a loop around it does what its users write.
func curl(t *testing.T, f *follower, base string) {
	path := needs(t, "curl")
	ctx, wg := lifetime(t)
	wg.Go(func() {
		last := ""
		for ctx.Err() == nil {
			args := []string{"-sSN", base + "/events"}
			if last != "" {
				args = append(args, "-H", "Last-Event-ID: "+last)
			}
			cmd := exec.CommandContext(ctx, path, args...)
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Error(err)
				return
			}
			readText(out, func() { f.open() }, func(e event) {
				if e.ID != "" {
					last = e.ID
				}
				f.handOut(e)
			})
			err = cmd.Wait()
			// 18: the last chunk did not come. A stream that was killed must not look like one that has ended.
			var exit *exec.ExitError
			if ctx.Err() == nil && (!errors.As(err, &exit) || exit.ExitCode() != 18 && exit.ExitCode() != 7 && exit.ExitCode() != 56) {
				t.Errorf("a killed hub looks like an orderly end to curl: %v", err)
			}
			wait(ctx, 200*time.Millisecond)
		}
	})
}

func nodeClient(t *testing.T, f *follower, library, base string) {
	path, err := node()
	if err != nil {
		t.Skip(err)
	}
	process(t, f, exec.Command(path, "node/client.mjs", library, base+"/events"))
}

func browser(t *testing.T, f *follower, base, kind string, names ...string) {
	executable := needs(t, names...)
	path, err := node()
	if err != nil {
		t.Skip(err)
	}
	process(t, f, exec.Command(path, "node/browser.mjs", kind, executable, base+"/healthz", ""))
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
